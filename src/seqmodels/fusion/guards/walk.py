"""A walk over everything that a cell's step can read, which generates a guard on its way."""

import logging
import re
import sys
import threading
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import itemgetter
from types import BuiltinFunctionType, BuiltinMethodType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqmodels.cells.base import Cell
from seqmodels.cells.hooks import ATTRIBUTES as HOOKS
from seqmodels.errors import Refused
from seqmodels.fusion.guards.guard_text import GuardText, comparison
from seqmodels.fusion.guards.reachable import (
    ABSENT,
    Part,
    class_attributes,
    derives,
    mro_of,
    name_of,
    parts,
    static,
    uncalled,
    vars_of,
)
from seqmodels.fusion.guards.user_code import contents, is_constant, is_lasting, is_library, reads

LIMIT = 20_000
"""Most values that are walked over."""

NOT_READ_BY_STEP = ("__init__", "reset_parameters", "extra_repr")
"""Methods of a cell that its step does not call: what they read may change."""

NOT_FOLLOWED = {"seqmodels", "torch", *sys.stdlib_module_names}
"""Packages whose code is never followed; that of others is, once they define a cell."""

TYPE_ONLY = {id(kind) for kind in (logging.Logger, weakref.ref, weakref.ProxyType, weakref.CallableProxyType)}
TYPE_ONLY |= {id(type(make())) for make in (threading.Lock, threading.RLock)}
"""Only the type of these is compared: what they hold does not affect what a step computes."""

_NO_COPIES = {id(kind) for kind in (torch.finfo, torch.iinfo, torch.jit.ScriptFunction)}
_NO_COPIES |= {id(kind) for kind in (staticmethod, classmethod, types.MappingProxyType)}
_MAY_BE_EMPTY = {id(kind) for kind in (list, dict, OrderedDict, set, deque)}
_ALIKE = {
    id(kind) for kind in (tuple, FunctionType, MethodType, BuiltinMethodType, property, staticmethod, classmethod)
}
"""Immutable types: two equal objects are as good as one that is found twice."""


HIDDEN = {"environ", "environb", "getenv"}
"""Names by which code reads what cannot be compared."""


class Walk:
    """Breadth first, so that nesting may be deep: first what the cell holds, then what code and classes hold."""

    def __init__(self) -> None:
        self.text = GuardText()
        self.inside = True
        self.uncalled: set[int] = set()  # ids of the cells whose hooks no step runs
        self.walked = 0
        self.variables: dict[int, str] = {}  # of objects, by id
        self.scopes: dict[int, str] = {}  # variables of dicts from which single names are read
        self.alive: list[Any] = []  # keeps ids from being reused
        self.distinct: list[str] = []  # variables of objects that are distinct from one another
        self.shared_state: list[Any] = []  # mutable objects outside the cell
        self.tensors: dict[str, tuple[Tensor, str, bool]] = {}  # by variable: tensor, path, whether the cell holds it
        self.uncopied: dict[int, object] = {}
        self.queue: deque[tuple[Callable[..., None], Any]] = deque()
        self.code: deque[tuple[Callable[..., None], Any]] = (
            deque()
        )  # classes and functions, for when the queue is empty
        self.classes: dict[int, str] = {}  # their names in the source, by id
        self.packages: set[str] = set()  # installed, but they define a cell: followed like a user's
        self.read: set[tuple[str, str]] = set()  # variable of a scope, name
        self.attributes: dict[str, None] = {}  # that code names
        self.modules: list[tuple[str, ModuleType, str]] = []  # of users, in attributes of objects

    def over(self, cell: nn.Module) -> None:
        self.uncalled = set(map(id, uncalled(cell)))
        self.text.require([self._met(self.text.variable(), cell, "")])
        while self.queue or self.code or self._modules_read():
            if not self.queue:
                self.queue, self.code, self.inside = self.code, self.queue, False
            expand, arguments = self.queue.popleft()
            expand(*arguments)
        if len(self.distinct) > 1:
            self.text.require([f"len({{*map(id, [{', '.join(self.distinct)}])}}) == {len(self.distinct)}"])

    def _met(self, variable: str, value: Any, path: str, attributes: Sequence[str] | None = None) -> str:
        """Return the condition that a variable is what was found there, and enqueue what that holds in turn.

        ``attributes`` are the attributes that the code uses which names the value; None if an object holds it.
        """
        self.walked += 1
        if self.walked > LIMIT:
            raise Refused(f"the step can read more than {LIMIT} objects, the last of them {readable(path)!r}")
        if id(type(value)) in _NO_COPIES:
            self._share(value)
        if (condition := comparison(self.text, variable, value)) is not None:
            return condition
        kind = type(value)
        if derives(kind, type):
            return f"{variable} is {self._class(value)}"
        if derives(kind, ModuleType):
            return self._module(variable, value, path, attributes)
        if is_constant(value, self._library):
            return f"{variable} is {self.text.same(value)}"
        if id(value) in self.variables:
            return f"{variable} is {self.variables[id(value)]}"
        typed = f"type({variable}) is {self._class(kind)}"
        if not TYPE_ONLY.isdisjoint(map(id, mro_of(kind))):
            self._share(value)
            return typed
        if not self.inside and (id(kind) in _MAY_BE_EMPTY or isinstance(getattr(value, "__dict__", None), dict)):
            self.shared_state.append(value)
        if id(kind) in _MAY_BE_EMPTY and not value:
            return f"{typed} and not {variable}"
        return f"{typed}{self._object(variable, value, path)}"

    def _object(self, variable: str, value: Any, path: str) -> str:
        """Enqueue an object; return further conditions on the variable."""
        kind = type(value)
        if kind is not tuple and not derives(kind, np.generic):
            self.variables[id(value)] = variable
            self.alive.append(value)
            if id(kind) not in _ALIKE:
                self.distinct.append(variable)
        if kind is FunctionType:
            self.code.append((self._function, (variable, value, path)))
            return ""
        self.queue.append((self._parts, (variable, value, path)))
        if not derives(kind, Tensor):
            return ""
        self.tensors[variable] = value, path, self.inside
        try:
            dtype, device, layout = self.text.same(value.dtype), self.text.constant(value.device), value.layout
            return (
                f" and {variable}.dtype is {dtype} and {variable}.device == {device}"
                f" and {variable}.shape == {tuple(value.shape)} and {variable}.requires_grad is {value.requires_grad}"
                f" and {variable}.layout is {self.text.same(layout)}"
            )
        except RuntimeError as error:  # not initialised yet, or nested
            raise Refused(f"attribute {readable(path)!r} holds a {name_of(kind)} without a shape") from error

    def _share(self, value: object) -> None:
        if self.inside:
            self.uncopied[id(value)] = value

    def _parts(self, variable: str, value: Any, path: str) -> None:
        try:
            found = parts(value)
        except Refused as error:
            raise Refused(f"attribute {readable(path)!r} holds {error}") from None
        for part in found:
            self._part(variable, self._without_hooks(part) if id(value) in self.uncalled else part, path)

    def _without_hooks(self, part: Part) -> Part:
        """Return the attributes of a cell but for its hooks, which may change: they have run before its step does."""
        labels = [*part.labels]
        for i, name in enumerate(part.keys or ()):
            if name in HOOKS:
                labels[i] = None
                if part.values[i]:
                    self._share(part.values[i])
        return replace(part, labels=labels)

    def _part(self, variable: str, part: Part, path: str) -> None:
        source = part.source.format(variable)
        if part.keys == ():
            self.text.require([f"not {source}"])
            return
        if part.keys is not None:
            self.text.let("d", source)
            self.text.require([f"(*d,) == {self.text.constant(part.keys)}"])
            source = "d.values()"
        targets = ["_" if label is None else self.text.variable() for label in part.labels]
        self.text.unpack(targets, source)
        found = zip(targets, part.values, part.labels, strict=True)
        self.text.require([self._met(name, value, path + label) for name, value, label in found if label is not None])

    # --- classes, modules and functions ------------------------------------------------------------------------------

    def _library(self, module: Any) -> bool:
        return is_library(str(module)) and str(module).partition(".")[0] not in self.packages

    def _class(self, cls: type) -> str:
        """Return the name of a class, and enqueue what it and its bases hold, except those of libraries."""
        if id(cls) not in self.classes:
            self.alive.append(cls)
            module = str(static(cls, "__module__"))
            lasting = is_library(module) and is_lasting(cls)
            self.classes[id(cls)] = self.text.same(cls) if lasting else self.text.weakly(cls)
            if derives(cls, Cell) and module.partition(".")[0] not in NOT_FOLLOWED:
                self.packages.add(module.partition(".")[0])
            for base in (*mro_of(cls)[1:], *([] if type(cls) is type else [type(cls)])):
                self._class(base)
            if module.startswith("seqmodels.") or not (lasting and self._library(module)):
                self.code.append((self._class_parts, (cls, self.classes[id(cls)])))
        return self.classes[id(cls)]

    def _class_parts(self, cls: type, name: str) -> None:
        path, held = static(cls, "__qualname__"), vars_of(cls)
        if not is_library(str(static(cls, "__module__"))):
            self._part(name, Part("{0}.__bases__", list(cls.__bases__), [".__bases__"] * len(cls.__bases__)), path)
        self.text.let("d", f"vars_of({name})")
        wanted = class_attributes(held)
        now, later = self.text.constant(tuple(held), "all names"), self.text.constant(wanted)
        self.text.require([f"((*d,) == {now} or class_attributes(d) == {later})"])
        left_out = NOT_READ_BY_STEP if derives(cls, Cell) else ()
        read = [key for key in wanted if key not in left_out and type(held[key]) is not MemberDescriptorType]
        if read:
            source = f"{self.text.constant(itemgetter(*read), repr(read))}(d)" if len(read) > 1 else f"[d[{read[0]!r}]]"
            self._part("d", Part(source, [held[key] for key in read], [f".{key}" for key in read]), path)

    def _module(self, variable: str, module: ModuleType, path: str, attributes: Sequence[str] | None) -> str:
        self._share(module)
        held = object.__getattribute__(module, "__dict__")
        if self._library(held.get("__name__")):
            named = {name: held.get(name) for name in attributes or ()}
            functions = [(n, f) for n, f in named.items() if type(f) in (FunctionType, BuiltinFunctionType)]
            patched = [f"{variable}.__dict__.get({name!r}) is {self.text.same(f)}" for name, f in functions]
            return " and ".join([f"{variable} is {self.text.same(module)}", *patched])
        if attributes is None:
            self.modules.append((variable, module, path))
        else:
            self.queue.append((self._scope, (f"{variable}.__dict__", held, attributes, attributes, path)))
        return f"{variable} is {self.text.weakly(module)}"

    def _modules_read(self) -> bool:
        """Read from modules that objects hold whatever any code names; return whether anything was enqueued."""
        named = list(self.attributes)
        for variable, module, path in self.modules:
            self._scope(f"{variable}.__dict__", vars(module), named, named, path)
        return bool(self.queue or self.code)

    def _function(self, variable: str, function: FunctionType, path: str) -> None:
        own = ("__code__", "__defaults__", "__kwdefaults__")
        sources = [f"{{0}}.{name}" for name in own]
        values, labels = [getattr(function, name) for name in own], [f".{name}" for name in own]
        if function.__closure__ is None:
            self._part(
                variable, Part(f"[{', '.join(sources)}, {{0}}.__closure__]", [*values, None], [*labels, ""]), path
            )
        else:
            self._part(variable, Part(f"[{', '.join(sources)}]", [*values], [*labels]), path)
            free = [f".{name}" for name in function.__code__.co_freevars]
            self._part(variable, Part("contents({0}.__closure__)", contents(function.__closure__), [*free]), path)
        held = function.__dict__
        self._part(variable, Part("{0}.__dict__", [*held.values()], [f".{name}" for name in held], tuple(held)), path)
        module = function.__globals__.get("__name__")
        if not self._library(module):
            found = reads(function)
            if hidden := HIDDEN.intersection((*found.names, *found.attributes)):
                raise Refused(f"{readable(path)!r} reads the environment ({hidden.pop()}): it may change at any time")
            self.attributes |= dict.fromkeys(found.attributes)
            self._scope(f"{variable}.__globals__", function.__globals__, found.names, found.attributes, str(module))
            if found.modules:
                self._scope("modules", sys.modules, found.modules, found.attributes, "")

    def _scope(
        self, source: str, scope: dict[str, Any], names: Sequence[str], attributes: Sequence[str], path: str
    ) -> None:
        """Read names of a module or of the global variables of code; a name that is missing must stay missing."""
        if id(scope) in self.scopes:
            variable = self.scopes[id(scope)]
            self.text.require([f"{source} is {variable}"])
        else:
            variable = self.scopes[id(scope)] = self.text.variable()
            self.alive.append(scope)
            self.text.let(variable, source)
        wanted = [name for name in names if (variable, name) not in self.read]
        self.read.update((variable, name) for name in wanted)
        targets = [self.text.variable() for _ in wanted]
        self.text.unpack(targets, f"[{', '.join(f'{variable}.get({name!r}, ABSENT)' for name in wanted)}]")
        found = zip(targets, wanted, strict=True)
        self.text.require([self._met(v, scope.get(name, ABSENT), f"{path}.{name}", attributes) for v, name in found])


def readable(path: str) -> str:
    """Return a path as one writes it in code, without the dicts in which a module holds its members."""
    return re.sub(r"\.?_(?:parameters|buffers|modules)\['([^']*)'\]", r".\1", path).removeprefix(".")
