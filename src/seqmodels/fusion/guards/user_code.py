"""Which code is the user's, and what it reads from outside itself: global variables and modules."""

import dis
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from seqmodels.fusion.guards.reachable import ABSENT, name_of, static, vars_of, written_in_python

_FOLDERS = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_FOLDERS += [site.getusersitepackages(), str(Path(__file__).parents[2])]  # the last is seqmodels itself
_ROOTS = tuple(os.path.realpath(folder) + os.sep for folder in _FOLDERS)


_BINDINGS = ("PyCapsule", "pybind11_detail_function_record")
"""Types that functions written in C++ are bound to."""


def is_library(module: str) -> bool:
    """Return whether a module is installed or part of Python, so that its code is not followed."""
    return _is_installed(module.partition(".")[0])


@lru_cache(maxsize=1024)
def _is_installed(package: str) -> bool:
    if package in ("__main__", "__mp_main__"):
        return False
    module = sys.modules.get(package)
    known = {} if module is None else vars(module)
    places = [known["__file__"]] if known.get("__file__") else list(known.get("__path__", ()))
    if not places:
        return package in sys.stdlib_module_names
    path = os.path.realpath(places[0])
    return path.startswith(_ROOTS) or bool({"site-packages", "dist-packages"} & set(Path(path).parts))


def is_lasting(cls: type) -> bool:
    """Return whether a class is written in C, or is an attribute of the module that it names.

    A class that a call created, as ``type(Cell)("Own", (Cell,), {})``, may name the module of a library.
    """
    found: Any = sys.modules.get(str(static(cls, "__module__")))
    held: Any = object.__getattribute__(found, "__dict__") if isinstance(found, ModuleType) else {}
    for name in static(cls, "__qualname__").split("."):
        found = held.get(name)
        held = vars_of(found) if isinstance(found, type) else {}
    return found is cls or not written_in_python(cls)


def is_constant(value: Any, library: Callable[[Any], bool]) -> bool:
    """Return whether a function, or a wrapper of one in a class, belongs to a library and depends on constants alone.

    Args:
        value: anything.
        library: returns whether a module of this name belongs to a library.
    """
    kind = type(value)
    if kind is FunctionType:
        closed = contents(value.__closure__ or ())
        return library(value.__globals__.get("__name__")) and all(_is_fixed(held, library) for held in closed)
    if kind is BuiltinFunctionType:
        owner = value.__self__
        bound = owner is not None and type(owner) is not ModuleType and not name_of(type(owner)).startswith(_BINDINGS)
        return not bound or (type(owner) is type and _is_fixed(owner, library))
    if kind in (staticmethod, classmethod):
        return type(value.__func__) is FunctionType and is_constant(value.__func__, library)
    if kind is property:
        wrapped = [f for f in (value.fget, value.fset, value.fdel) if f is not None]
        return all(type(f) is FunctionType and is_constant(f, library) for f in wrapped)
    return False


def _is_fixed(held: Any, library: Callable[[Any], bool]) -> bool:
    """Return whether a value in the closure of a library's function is a number, a text, or belongs to a library."""
    if type(held) is type:
        return library(static(held, "__module__"))
    return type(held) in (int, str, bool, type(None)) or (
        type(held) is BuiltinFunctionType and is_constant(held, library)
    )


def contents(closure: Iterable[Any]) -> list[Any]:
    """Return the contents of a closure's cells."""
    found = []
    for cell in closure:
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            found.append(ABSENT)
    return found


@dataclass(frozen=True)
class Reads:
    """Names that a function and its nested functions read."""

    names: list[str]  # global variables
    modules: list[str]  # which the code itself imports
    attributes: list[str]


def reads(function: FunctionType) -> Reads:
    """Return what the code of a function reads from outside itself."""
    names: dict[str, None] = {}
    modules: dict[str, None] = {}
    attributes: dict[str, None] = {}
    codes = [function.__code__]
    for code in codes:
        before: list[Any] = [None, None]
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                names[step.argval] = None
            elif step.opname == "IMPORT_NAME":
                modules[_absolute(step.argval, before[0], function.__globals__)] = None
            before = [before[1], step.argval]
        attributes |= dict.fromkeys(code.co_names)
        codes += [constant for constant in code.co_consts if type(constant) is CodeType]
    return Reads(list(names), list(modules), list(attributes))


def _absolute(name: str, level: Any, scope: dict[str, Any]) -> str:
    """Return the full name of a module that is imported ``level`` packages above the importing one."""
    try:
        return resolve_name("." * level + name, scope.get("__package__")) if level else name
    except ImportError:
        return name
