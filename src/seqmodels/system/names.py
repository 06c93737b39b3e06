"""Public names of packages: imported lazily, and written to files instead of module paths."""

import ast
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from seqmodels.errors import nearest


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package that imports each public name on first access.

    Args:
        package: ``__name__`` of the package.
        homes: the module that defines each name; for a submodule of the package, the module itself.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}{nearest(name, homes)}")
        home = import_module(homes[name])
        value = home if homes[name] == f"{package}.{name}" else getattr(home, name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(homes)


def stub_homes(package: str, file: str) -> dict[str, str]:
    """Return the module of each public name, read from the imports in the stub of the package whose module is ``file``.

    Type checkers read the same stub, so that a lazy package lists its names once.
    """
    homes = {}
    for node in ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                homes[alias.name] = f"{package}.{alias.name}" if node.module == package else str(node.module)
    return homes


def public_name(thing: type | Callable[..., Any]) -> str:
    """Return the public name of a class or function: that of the outermost package that exports it.

    Saved files hold this name and not the defining module, so that modules can move. The name of an object that no
    package exports is that of its module.

    Example:
        >>> from seqmodels.cells.lstm import LSTMCell
        >>> public_name(LSTMCell)
        'seqmodels.cells.LSTMCell'
    """
    parts = thing.__module__.split(".")
    for end in range(2, len(parts)):
        package = ".".join(parts[:end])
        if thing.__name__ in getattr(import_module(package), "__all__", ()):
            return f"{package}.{thing.__name__}"
    return f"{thing.__module__}.{thing.__qualname__}"
