"""The source of a guard, and the constants that it compares with."""

import datetime
import decimal
import fractions
import hashlib
import math
import pathlib
import re
import sys
import types
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Sequence
from gc import get_referents
from operator import attrgetter
from typing import Any
from weakref import ref

import numpy as np
import torch

from seqmodels.fusion.guards.reachable import ABSENT, class_attributes, derives, listed, slot, static, vars_of
from seqmodels.fusion.guards.user_code import contents

HELPERS: dict[str, Any] = {
    "ABSENT": ABSENT,
    "DisableTorchFunction": torch._C.DisableTorchFunction,  # no mode or subclass is asked for the shape of a tensor
    "OrderedDict": OrderedDict,
    "class_attributes": class_attributes,
    "contents": contents,
    "deque": deque,
    "get_referents": get_referents,
    "getattribute": object.__getattribute__,
    "listed": listed,
    "modules": sys.modules,
    "ndarray": np.ndarray,
    "slot": slot,
    "vars_of": vars_of,
}
"""What the source of a guard calls, by the names it has there."""

BY_IDENTITY = {
    *(torch.dtype, torch.layout, torch.memory_format, torch.qscheme, torch.jit.ScriptFunction),
    *(torch._ops.OpOverload, torch._ops.OpOverloadPacket, np.ufunc, type(np.sum), types.CodeType),
    *(types.EllipsisType, types.NotImplementedType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(types.ClassMethodDescriptorType, types.GetSetDescriptorType, type(namedtuple("One", "a").a)),  # type: ignore[attr-defined]
}
BY_EQUALITY = {torch.device, torch.Size, re.Pattern}
BY_TEXT = {
    *(complex, range, decimal.Decimal, fractions.Fraction, uuid.UUID, torch.finfo, torch.iinfo),
    *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone),
    *(pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath),
    *(types.GenericAlias, types.UnionType),
}
_IDENTITY, _EQUALITY, _TEXT = ({id(kind) for kind in kinds} for kinds in (BY_IDENTITY, BY_EQUALITY, BY_TEXT))
SHORT = 64  # fewer bits or characters of a constant than this are written into the source itself


class GuardText:
    """Source that reads what a cell holds into variables, line by line, and compares it with constants.

    The digest is made of the source and the texts of its constants, which determine all that a guard compares.
    """

    def __init__(self) -> None:
        self.scope = dict(HELPERS)
        self._texts: list[str] = []
        self._same: dict[int, str] = {}  # constants that are compared by identity, by id; the scope keeps them alive
        self._weak: dict[int, str] = {}  # those that it does not keep alive: the walk does, as long as it lasts
        self._lines: list[str] = []
        self._variables = 0

    def variable(self) -> str:
        self._variables += 1
        return f"v{self._variables - 1}"

    def constant(self, value: Any, described_as: str | None = None) -> str:
        """Return a name for a value that is compared by ``==``, or called."""
        name = f"K{len(self._texts)}"
        self.scope[name] = value
        self._texts.append(f"{name} {described(value) if described_as is None else described_as}")
        return name

    def same(self, value: Any) -> str:
        """Return the name of a value that is compared by ``is``; the guard keeps it alive."""
        if id(value) not in self._same:
            self._same[id(value)] = self.constant(value)
        return self._same[id(value)]

    def weakly(self, value: type | types.ModuleType) -> str:
        """Return the name of a class or module that is compared by ``is``, and that the guard does not keep alive."""
        if id(value) not in self._weak:
            name = self._weak[id(value)] = f"T{len(self._weak)}"
            self.scope[f"R{name}"] = ref(value)
            self._texts.append(f"{name} {described(value)}")
        return self._weak[id(value)]

    def let(self, target: str, source: str) -> None:
        self._lines.append(f"{target} = {source}")

    def unpack(self, targets: Sequence[str], source: str) -> None:
        """Read the values that ``source`` gives; there must be as many as targets."""
        self.let(f"[{', '.join(targets)}]", source)

    def require(self, conditions: Sequence[str]) -> None:
        if conditions:
            self._lines.append(f"if not ({' and '.join(conditions)}): return None")

    def source(self, results: Sequence[str]) -> str:
        """Return the source of a function of ``v0`` that returns the results, or None where something differs."""
        heads = [f"{name} = R{name}()" for name in self._weak.values()]
        body = [*heads, *self._lines, f"return [{', '.join(results)}]"]
        inner = "".join(f"            {line}\n" for line in body)
        return (
            "def guard(v0):\n    try:\n        with DisableTorchFunction():\n"
            f"{inner}    except Exception:  # something is missing\n        return None\n"
        )

    def digest(self, source: str) -> str:
        return hashlib.sha256("\n".join([source, *self._texts]).encode()).hexdigest()


def compiled(source: str, scope: dict[str, Any]) -> Callable[[Any], Any]:
    exec(compile(source, "<guard>", "exec"), scope)  # noqa: S102 - generated above
    return scope["guard"]


def comparison(text: GuardText, variable: str, value: Any) -> str | None:
    """Return the condition that a variable has this value, of the same type; None unless it is a plain constant."""
    kind = type(value)
    if value is None or value is True or value is False or value is ABSENT:
        return f"{variable} is {'ABSENT' if value is ABSENT else value}"
    if id(kind) in _IDENTITY:
        return f"{variable} is {text.same(value)}"
    if kind is int or kind is str or kind is bytes:
        short = value.bit_length() < SHORT if kind is int else len(value) < SHORT
        return f"type({variable}) is {kind.__name__} and {variable} == {repr(value) if short else text.constant(value)}"
    if kind is float and value and math.isfinite(value):
        return f"type({variable}) is float and {variable} == {value!r}"
    typed = f"type({variable}) is {text.same(kind)}" if _is_plain(kind) else None
    if typed and (id(kind) in _EQUALITY or derives(kind, np.dtype)):
        return f"{typed} and {variable} == {text.constant(value)}"
    return typed and f"{typed} and repr({variable}) == {repr(value)!r}"  # which tells 0.0 and -0.0 apart


def _is_plain(kind: type) -> bool:
    known = kind is float or id(kind) in _EQUALITY or id(kind) in _TEXT or derives(kind, np.dtype)
    return known or static(kind, "__module__") == "typing"


def described(value: Any) -> str:
    """Return a text for a constant that is the same in every process."""
    match value:
        case type():
            return f"{static(value, '__module__')}.{static(value, '__qualname__')}"
        case types.ModuleType():
            return str(object.__getattribute__(value, "__dict__").get("__name__"))
        case types.FunctionType():
            return f"{value.__module__}.{value.__qualname__} {_code(value.__code__)}"
        case types.BuiltinFunctionType():
            return f"{value.__module__}.{value.__qualname__}"
        case property():
            return f"property{described((value.fget, value.fset, value.fdel))}"
        case staticmethod() | classmethod():
            return f"{type(value).__name__} {described(value.__func__)}"
        case types.CodeType():
            return _code(value)
        case tuple() if type(value) is tuple:
            return f"({', '.join(map(described, value))})"
        case frozenset():
            return f"{{{', '.join(sorted(map(described, value)))}}}"
        case int() if type(value) is int:
            return hex(value)  # of any length
        case re.Pattern():
            return repr((value.pattern, value.flags))
        case torch.jit.ScriptFunction():
            return str(value.qualified_name)
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))  # some objects of libraries print their address


def _code(code: types.CodeType) -> str:
    """Return a digest of what code does, not of where it was written."""
    names = attrgetter("co_names", "co_varnames", "co_freevars", "co_cellvars")(code)
    numbers = attrgetter("co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount")(code)
    parts = (code.co_code, code.co_exceptiontable, described(code.co_consts), names, numbers)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
