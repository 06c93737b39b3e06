"""What an object holds, read without calling any code of its class, and how a guard reads the same again."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from gc import get_referents
from operator import is_
from types import (
    BuiltinMethodType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch._subclasses import FakeTensor

from seqmodels.cells.wrappers.wrapper import Wrapper
from seqmodels.errors import Refused

vars_of: Callable[[type], MappingProxyType[str, Any]] = type.__dict__["__dict__"].__get__
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__

ATTRIBUTES_LEFT_OUT = {("omegaconf.base", "Node"): {"_flags_cache"}}
"""Attributes that change when others are read, by module and name of the class."""

CLASS_ATTRIBUTES_LEFT_OUT = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__", "__firstlineno__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__static_attributes__"),
    *("__orig_bases__", "__parameters__", "__type_params__", "__abstractmethods__", "_abc_impl"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__slotnames__", "_autograd_function_id"),
    *("_value2member_map_", "_hashable_values_", "_unhashable_values_", "_unhashable_values_map_"),
}
"""What Python and its libraries keep in a class for their own use, some of it created on demand."""

ARRAY_BYTES = 2**16
"""Largest size in bytes of an array whose content is compared; larger ones are refused."""


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""Stands for what is missing: an undefined name, an empty slot or closure cell."""


@dataclass(frozen=True)
class Part:
    """Some of the values that an object holds.

    ``source`` is an expression for them, with ``{0}`` for the object's variable. A label is what the path of a value
    appends to that of the object, None for a value that is not compared. With ``keys`` the expression gives a dict
    with these keys, and the values are its values.
    """

    source: str
    values: list[Any]
    labels: list[str | None]
    keys: tuple[str, ...] | None = None


def parts(value: Any) -> list[Part]:
    """Return what an object holds.

    Raises:
        Refused: it may hold something that cannot be read; the message continues "attribute ... holds".
    """
    kind = type(value)
    found: list[Part] = []
    for base in (np.generic,) if derives(kind, np.generic) else mro_of(kind):
        if (reader := _READERS.get(id(base))) is not None:
            found += reader(value)
            break
        if base is not object and not written_in_python(base):
            raise Refused(f"a {name_of(kind)}, whose state a program cannot follow")
    if derives(kind, FakeTensor):  # during a trace its attributes are the tracer's
        return found
    if kind not in (staticmethod, classmethod):  # whose attributes are copies of the function's
        found += _attributes(value, kind)
    return [*found, *_slots(value, kind)]


def class_attributes(held: Iterable[str]) -> tuple[str, ...]:
    """Return the names in a class, except those for Python's own use."""
    return tuple(name for name in held if name not in CLASS_ATTRIBUTES_LEFT_OUT)


def static(cls: type, name: str) -> Any:
    """Return ``__module__`` or ``__qualname__`` of a class, whatever its metaclass defines."""
    return type.__dict__[name].__get__(cls)


def name_of(cls: type) -> str:
    return static(cls, "__name__")


def derives(cls: type, base: type) -> bool:
    """Return whether ``base`` is a base of a class, whatever its metaclass says."""
    return any(known is base for known in mro_of(cls))


def uncalled(cell: nn.Module) -> Iterator[nn.Module]:
    """Yield a cell and what the wrappers of this package wrap in it: they call methods of a cell, never the cell."""
    yield cell
    while derives(type(cell), Wrapper) and static(type(cell), "__module__").startswith("seqmodels."):
        cell = vars(cell)["_modules"]["cell"]
        yield cell


def slot(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return ABSENT


_PLAIN = (int, str, float, bool, complex, bytes, type(None))


def listed(items: Iterable[Any]) -> str | None:
    """Return the sorted elements of a set as text, which distinguishes 1, 1.0 and True; None if one is not plain."""
    found = list(items)
    waiting = list(found)
    for item in waiting:
        if type(item) is tuple:
            waiting += item
        elif not any(map(is_, _PLAIN, [type(item)] * len(_PLAIN))):
            return None
    return ", ".join(sorted(map(repr, found)))


def _lookup(cls: type, name: str) -> Any:
    return next((vars_of(base)[name] for base in mro_of(cls) if name in vars_of(base)), ABSENT)


def written_in_python(cls: type) -> bool:
    heap, sealed = 1 << 9, 1 << 8 | 1 << 7  # CPython's Py_TPFLAGS_HEAPTYPE, _IMMUTABLETYPE | _DISALLOW_INSTANTIATION
    own_new = getattr(vars_of(cls).get("__new__"), "__self__", None) is cls
    return bool(cls.__flags__ & heap) and not cls.__flags__ & sealed and not own_new


def _attributes(value: Any, kind: type) -> Iterator[Part]:
    if (descriptor := _lookup(kind, "__dict__")) is ABSENT:
        return
    described = type(descriptor) in (GetSetDescriptorType, MemberDescriptorType)
    held = object.__getattribute__(value, "__dict__") if described else None
    if type(held) is not dict or any(type(name) is not str for name in held):
        raise Refused(f"a {name_of(kind)}, whose __dict__ is no plain one")
    known = ((static(base, "__module__"), static(base, "__qualname__")) for base in mro_of(kind))
    out = {attribute for base in known for attribute in ATTRIBUTES_LEFT_OUT.get(base, ())}
    labels = [None if name in out else f".{name}" for name in held]
    plain = type(_lookup(kind, "__getattribute__")) is WrapperDescriptorType
    yield Part("{0}.__dict__" if plain else "getattribute({0}, '__dict__')", [*held.values()], labels, tuple(held))


def _slots(value: Any, kind: type) -> Iterator[Part]:
    for base in mro_of(kind):
        if id(base) not in _READERS and "__slots__" in vars_of(base):
            for name, descriptor in vars_of(base).items():
                if type(descriptor) is MemberDescriptorType and _lookup(kind, name) is descriptor:
                    yield Part(f"[slot({{0}}, {name!r})]", [slot(value, name)], [f".{name}"])


# --- what objects of built-in types hold -----------------------------------------------------------------------------

Reader = Callable[[Any], Iterator[Part]]
"""Returns what a value holds as an instance of a built-in type, of which it may be a subclass."""


def _sequence(name: str, kind: Any) -> Reader:
    def read(value: Any) -> Iterator[Part]:
        values = list(kind.__iter__(value))
        source = "{0}" if type(value) is kind else f"{name}.__iter__({{0}})"
        yield Part(source, values, [f"[{i}]" for i in range(len(values))])

    return read


def _mapping(name: str, kind: Any) -> Reader:
    def read(value: Any) -> Iterator[Part]:
        keys, values = list(kind.keys(value)), list(kind.values(value))
        if type(value) is kind and all(type(key) is str for key in keys):
            yield Part("{0}", values, [f"[{key!r}]" for key in keys], tuple(keys))
            return
        labels = [f"[{key!r}]" if type(key) in (str, int) else f"[key {i}]" for i, key in enumerate(keys)]
        labels = [f" key {i}" for i in range(len(keys))] + labels
        yield Part(f"[*{name}.keys({{0}}), *{name}.values({{0}})]", keys + values, [*labels])

    return read


def _default_dict(value: Any) -> Iterator[Part]:
    yield from _members(defaultdict, "default_factory")(value)
    yield from _mapping("dict", dict)(value)


def _members(kind: type, *names: str) -> Reader:
    def read(value: Any) -> Iterator[Part]:
        values = [object.__getattribute__(value, name) for name in names]
        source = "{0}.%s" if type(value) is kind else "getattribute({0}, '%s')"
        yield Part(f"[{', '.join(source % name for name in names)}]", values, [f".{name}" for name in names])

    return read


def _single(source: str, convert: Callable[[Any], Any]) -> Reader:
    """Read one value that stands for the whole content, or that a subclass of a plain type extends."""
    return lambda value: iter([Part(f"[{source}]", [convert(value)], [""])])


def _set(name: str, kind: Any) -> Reader:
    def read(value: Any) -> Iterator[Part]:
        if (text := listed(kind.__iter__(value))) is None:
            raise Refused(f"a {name_of(type(value))} of objects, which have no order: make it a tuple")
        yield Part(f"[listed({name}.__iter__({{0}}))]", [text], [""])

    return read


def _array(value: Any) -> Iterator[Part]:
    dtype, shape, size = (object.__getattribute__(value, name) for name in ("dtype", "shape", "nbytes"))
    if dtype.hasobject:
        raise Refused("a NumPy array of objects: make it a tuple")
    if size > ARRAY_BYTES:
        raise Refused(f"a NumPy array of {size} bytes: make it a buffer")
    source = "[getattribute({0}, 'dtype'), getattribute({0}, 'shape'), ndarray.tobytes({0})]"
    yield Part(source, [dtype, shape, np.ndarray.tobytes(value)], [".dtype", ".shape", ""])


def _scalar(value: Any) -> Iterator[Part]:
    if not static(type(value), "__module__").startswith("numpy") or value.dtype.hasobject:
        raise Refused(f"a {name_of(type(value))}, whose value cannot be compared")
    yield Part("[{0}.dtype, {0}.tobytes()]", [value.dtype, value.tobytes()], [".dtype", ""])


_READERS: dict[int, Reader] = {
    id(list): _sequence("list", list),
    id(tuple): _sequence("tuple", tuple),
    id(deque): _sequence("deque", deque),
    id(dict): _mapping("dict", dict),
    id(OrderedDict): _mapping("OrderedDict", OrderedDict),
    id(defaultdict): _default_dict,
    id(set): _set("set", set),
    id(frozenset): _set("frozenset", frozenset),
    id(int): _single("int.__int__({0})", int.__int__),
    id(float): _single("float.__float__({0})", float.__float__),
    id(str): _single("str.__str__({0})", str.__str__),
    id(bytes): _single("bytes.__getitem__({0}, slice(None))", lambda value: bytes.__getitem__(value, slice(None))),
    id(bytearray): _single("bytearray.__repr__({0})", bytearray.__repr__),
    id(slice): _members(slice, "start", "stop", "step"),
    id(MappingProxyType): lambda value: iter([Part("get_referents({0})", get_referents(value), [""])]),
    id(partial): _members(partial, "func", "args", "keywords"),
    id(property): _members(property, "fget", "fset", "fdel"),
    id(staticmethod): _members(staticmethod, "__func__"),
    id(classmethod): _members(classmethod, "__func__"),
    id(MethodType): _members(MethodType, "__func__", "__self__"),
    id(BuiltinMethodType): _members(BuiltinMethodType, "__name__", "__self__"),
    id(MethodWrapperType): _members(MethodWrapperType, "__name__", "__self__"),
    id(np.ndarray): _array,
    id(np.generic): _scalar,
    **{id(kind): lambda value: iter(()) for kind in (SimpleNamespace, Tensor, type(lru_cache(len)))},  # noqa: ARG005
}
"""By the id of the type; the last ones hold everything in their ``__dict__``."""
