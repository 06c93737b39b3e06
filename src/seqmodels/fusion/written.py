"""A step's programs as text, from which another process can run them.

Graphs that hold the operators of ``operators.py`` hold this text: what they run lies in the graph itself. It is JSON,
and reading it runs no code: the functions around the programs are lists of calls of ATen operators.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from operator import getitem
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from seqmodels.errors import Refused
from seqmodels.fusion.lowering.adjoint import Pair, WeightGradient
from seqmodels.fusion.lowering.step import Step
from seqmodels.fusion.ops import Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.tracing.form import Leaf
from seqmodels.fusion.values import Columns, Number, Product, Selection, Value, walk

VERSION = 1
"""Changes with the format, so that a text of another version is refused."""

LITERAL = 4096
"""Most numbers of a tensor that a step creates from literals: they are written out."""

_TORCH: tuple[tuple[str, type], ...] = (
    ("dtype", torch.dtype),
    ("device", torch.device),
    ("layout", torch.layout),
    ("memory_format", torch.memory_format),
)
"""Arguments of operators that are written as ``{kind: name}``."""


@dataclass(frozen=True)
class Calls:
    """A function of tensors as calls of operators, in order; a ``Place`` among arguments is an input or a result."""

    inputs: int
    literals: tuple[Tensor, ...]
    calls: tuple[tuple[Callable[..., Any], Any, Any], ...]  # operator, arguments, keyword arguments
    results: tuple["Place | None", ...]

    def __call__(self, *given: Tensor) -> tuple[Any, ...]:
        known: list[Any] = [*given, *(one.to(given[0].device) if given else one for one in self.literals)]
        for function, args, kwargs in self.calls:
            known.append(function(*_filled(args, known), **_filled(kwargs, known)))
        return tuple(None if place is None else known[place.number] for place in self.results)


class Place(NamedTuple):
    """The input, literal or result of this number, counted in this order."""

    number: int


def _filled(argument: Any, known: Sequence[Any]) -> Any:
    if isinstance(argument, Place):
        return known[argument.number]
    if isinstance(argument, list):
        return [_filled(one, known) for one in argument]
    if isinstance(argument, dict):
        return {name: _filled(one, known) for name, one in argument.items()}
    return argument


def written(step: Step) -> str:
    """Return a text that :func:`read` makes the same step of.

    Raises:
        Refused: a function around its programs holds something that has no text.
    """
    pair = step.pair
    return json.dumps(
        {
            "version": VERSION,
            "leaves": [[_leaf(one) for one in leaves] for leaves in (step.streams, step.carries, step.constants)],
            "dtypes": [_name(step.output), _name(step.dtype)],
            "hoisted": _function(step.hoisted),
            "num_weights": step.num_weights,
            "forward": _program(step.forward),
            "pair": pair
            and {
                "forward": _program(pair.forward),
                "backward": _program(pair.backward),
                "wanted_streams": pair.wanted_streams,
                "contractions": [one if isinstance(one, int) else astuple(one) for one in pair.contractions],
                "reads": sorted(pair.reads),
            },
            "epilogue": step.epilogue and _function(step.epilogue),
            "sums": step.sums,
        },
        separators=(",", ":"),
    )


@lru_cache(maxsize=256)
def read(text: str) -> Step:
    """Return the step that :func:`written` made a text of; a text is read once.

    Raises:
        ValueError: the text is none of this version.
    """
    found = json.loads(text)
    if found["version"] != VERSION:
        what = f"version {found['version']}, and this version of seqmodels reads version {VERSION}"
        raise ValueError(f"the recurrence was written in {what}: export the model again")
    streams, carries, constants = (tuple(map(_read_leaf, leaves)) for leaves in found["leaves"])
    output, dtype = (getattr(torch, name) for name in found["dtypes"])
    pair = found["pair"] and Pair(
        _read_program(found["pair"]["forward"]),
        _read_program(found["pair"]["backward"]),
        tuple(found["pair"]["wanted_streams"]),
        tuple(one if isinstance(one, int) else _contraction(*one) for one in found["pair"]["contractions"]),
        frozenset(found["pair"]["reads"]),
    )
    epilogue = found["epilogue"] and _read_function(found["epilogue"])
    hoisted, forward = _read_function(found["hoisted"]), _read_program(found["forward"])
    sums = tuple(map(tuple, found["sums"]))
    return Step(
        streams, carries, constants, output, dtype, hoisted, found["num_weights"], forward, pair, epilogue, sums
    )


def _name(one: object) -> str:
    return str(one).removeprefix("torch.")


def _leaf(leaf: Leaf) -> list[Any]:
    return [leaf.shape, _name(leaf.dtype), str(leaf.device), leaf.requires_grad]


def _read_leaf(found: list[Any]) -> Leaf:
    shape, dtype, device, requires_grad = found
    return Leaf(tuple(shape), getattr(torch, dtype), torch.device(device), requires_grad)


def _contraction(operand: list[int], *rest: Any) -> WeightGradient:
    return WeightGradient(tuple(operand), *rest)


def _program(program: Program) -> dict[str, Any]:
    products = program.products
    values = walk([*program.roots, *(value for product in products for value in product.operand)], products)
    number = {value: i for i, value in enumerate(values)}

    def group(values: Sequence[Value]) -> list[int]:
        return [number[value] for value in values]

    return {
        "sizes": [program.streams, program.carries, program.vectors],
        "values": [[v.op, group(v.args), v.width, v.payload, v.level] for v in values],
        "products": [
            ["select", group(p.operand), p.columns]
            if isinstance(p, Selection)
            else ["product", group(p.operand), p.weight, p.transposed, p.width]
            for p in products
        ],
        "roots": [[*map(group, groups)] for groups in (program.outputs, program.carried, program.totals)],
        "backwards": program.backwards,
    }


def _read_program(found: dict[str, Any]) -> Program:
    values: list[Value] = []
    for op, args, width, payload, level in found["values"]:
        is_number = op == Op.SCALAR
        held = None if payload is None else Number(*payload) if is_number else Columns(*payload)
        values.append(Value(Op(op), tuple(values[i] for i in args), width, held, level))

    def group(numbers: list[int]) -> tuple[Value, ...]:
        return tuple(values[i] for i in numbers)

    products = tuple(
        Selection(group(operand), tuple(rest[0])) if kind == "select" else Product(group(operand), *rest)
        for kind, operand, *rest in found["products"]
    )
    streams, carries, vectors = map(tuple, found["sizes"])
    outputs, carried, totals = (tuple(map(group, groups)) for groups in found["roots"])
    return Program(streams, carries, vectors, products, outputs, carried, totals, found["backwards"])


def _function(function: Any) -> dict[str, Any]:
    """Return the calls of a traced function."""
    if isinstance(function, Calls):
        raise TypeError("a step that was read from a text is not written again")
    nodes = list(function.graph.nodes)
    order = [n for kind in ("placeholder", "get_attr", "call_function") for n in nodes if n.op == kind]
    number = {node: i for i, node in enumerate(order)}
    literals = [getattr(function, str(n.target)) for n in order if n.op == "get_attr"]
    results = next(n for n in nodes if n.op == "output").args[0]
    return {
        "inputs": sum(n.op == "placeholder" for n in nodes),
        "literals": [_literal(one) for one in literals],
        "calls": [
            [
                _operator(n.target),
                _argument(list(n.args), number),
                {k: _argument(v, number) for k, v in n.kwargs.items()},
            ]
            for n in order
            if n.op == "call_function"
        ],
        "results": [None if one is None else number[one] for one in results],
    }


def _read_function(found: dict[str, Any]) -> Calls:
    literals = tuple(torch.tensor(numbers, dtype=getattr(torch, dtype)) for dtype, numbers in found["literals"])
    calls = tuple(
        (_read_operator(name), _read_argument(args), {k: _read_argument(v) for k, v in kwargs.items()})
        for name, args, kwargs in found["calls"]
    )
    results = tuple(None if one is None else Place(one) for one in found["results"])
    return Calls(found["inputs"], literals, calls, results)


def _operator(target: Any) -> str:
    if target is getitem:
        return "getitem"
    if isinstance(target, torch._ops.OpOverload) and target.namespace in ("aten", "prims"):
        return str(target)
    raise Refused(f"{target}, which a weight goes through, cannot be written into a graph")


def _read_operator(name: str) -> Callable[..., Any]:
    if name == "getitem":
        return getitem
    namespace, operator, overload = name.split(".")
    if namespace not in ("aten", "prims"):
        raise ValueError(f"a recurrence calls ATen operators alone, got {name}")
    found: Callable[..., Any] = getattr(getattr(getattr(torch.ops, namespace), operator), overload)
    return found


def _literal(tensor: Tensor) -> list[Any]:
    if tensor.numel() > LITERAL:
        raise Refused(f"a step that creates {tensor.numel()} numbers from literals: hold them in a buffer")
    return [_name(tensor.dtype), tensor.tolist()]


def _argument(one: Any, number: dict[fx.Node, int]) -> Any:
    if isinstance(one, fx.Node):
        return {"place": number[one]}
    if isinstance(one, list | tuple):
        return [_argument(each, number) for each in one]
    for kind, known in _TORCH:
        if isinstance(one, known):
            return {kind: _name(one)}
    if one is None or isinstance(one, bool | int | float | str):
        return one
    raise Refused(f"a {type(one).__name__}, which an operator takes, cannot be written into a graph")


def _read_argument(found: Any) -> Any:
    if isinstance(found, list):
        return [_read_argument(one) for one in found]
    if not isinstance(found, dict):
        return found
    ((kind, what),) = found.items()
    if kind == "place":
        return Place(what)
    return torch.device(what) if kind == "device" else getattr(torch, what)
