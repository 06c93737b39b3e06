"""Trained models outside the command line: loading, predicting, generating, stepping."""

from seqmodels.system.names import lazy, stub_homes

_HOMES = stub_homes(__name__, __file__)
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__, __dir__ = lazy(__name__, _HOMES)
