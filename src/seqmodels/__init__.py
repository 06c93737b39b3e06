"""Write a recurrent cell as its equations; train it on any sequence task at the speed of a fused kernel."""

from seqmodels.system.names import lazy, stub_homes

__version__ = "0.1.0"

_HOMES = stub_homes(__name__, __file__)
__all__ = [name for name, home in _HOMES.items() if home != f"seqmodels.{name}"]
__getattr__, __dir__ = lazy(__name__, _HOMES)
