"""Train, test, resume and use models: the layer between a configuration and Lightning."""

from seqmodels.system.names import lazy, stub_homes

_HOMES = stub_homes(__name__, __file__)
__all__ = list(_HOMES)
__getattr__, __dir__ = lazy(__name__, _HOMES)
