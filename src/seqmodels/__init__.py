"""Write a recurrent cell as its equations; train it on any sequence task at the speed of a fused kernel."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqmodels.cells import Cell
    from seqmodels.layers import Bidirectional, Recurrent, Stack, recurrent_stack
    from seqmodels.unroll.unroll import unroll as unroll

__version__ = "0.1.0"
__all__ = ["Bidirectional", "Cell", "Recurrent", "Stack", "__version__", "recurrent_stack", "unroll"]

_HOMES = {
    "Bidirectional": "seqmodels.layers",
    "Cell": "seqmodels.cells",
    "Recurrent": "seqmodels.layers",
    "Stack": "seqmodels.layers",
    "recurrent_stack": "seqmodels.layers",
    "unroll": "seqmodels.unroll",
}


class _Package(ModuleType):
    """Loads a public name when it is first asked for, so that ``seqmodels --help`` need not import torch."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds a subpackage to its parent when it is imported: `seqmodels.unroll` shall stay the function.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
