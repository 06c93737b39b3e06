"""A trained model behind HTTP (the extra ``serve``): predictions, texts, sessions that advance step by step."""

from seqmodels.system.names import lazy, stub_homes

_HOMES = stub_homes(__name__, __file__)
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__, __dir__ = lazy(__name__, _HOMES)
