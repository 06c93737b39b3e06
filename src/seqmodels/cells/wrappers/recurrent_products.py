"""Intercepting the products with ``weight_hh`` inside a cell's ``step``, so that wrappers can replace them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.parametrize import cached
from torch.overrides import TorchFunctionMode

from seqmodels.cells.base import Cell
from seqmodels.cells.wrappers.wrapper import example_input

Multiply = Callable[[Tensor, Tensor], Tensor]
Replace = Callable[[Multiply, Tensor, Tensor, range], Tensor]
"""``(multiply, operand, weight, blocks) -> product``: what to compute for the product of an ``operand (batch, size)``
with those rows of ``weight_hh`` that belong to the gate ``blocks``; the plain one is ``multiply(operand, weight)``."""

MATMULS = {"matmul", "__matmul__", "mm"}
PRODUCTS = MATMULS | {"linear", "addmm", "__rmatmul__", "bmm", "baddbmm", "einsum", "tensordot", "inner", "mv"}
MULTIPLICATIONS = {"mul", "__mul__", "__rmul__", "multiply"}
TRANSPOSITIONS = {"t", "T", "mT", "transpose", "swapaxes"}
SPLITS = {"chunk", "split", "split_with_sizes", "tensor_split"}


class _Piece(NamedTuple):
    tensor: Tensor  # held, so that its id stays its own
    rows: range  # the rows of weight_hh that it shows
    transposed: bool


class RecurrentProducts(TorchFunctionMode):
    """While active, passes every product of a value with rows of ``cell.weight_hh`` to ``replace``.

    Recognised are ``F.linear``, ``@``, ``matmul``, ``mm`` and ``addmm`` with whole gate blocks of rows, and ``*`` where
    the weight is a vector. Rows are followed through slicing, splitting, transposing and whatever else keeps the
    weight's shape (a normalisation, say). The weight is looked up at each call, so that a tensor which
    ``torch.func.functional_call`` or :class:`~seqmodels.cells.WeightDrop` substitutes for it is recognised too; one
    with ``torch.nn.utils.parametrizations`` is computed once while the mode is active. Modes nest: the outer ones see
    what ``replace`` computes.
    """

    def __init__(self, cell: Cell[Any], replace: Replace) -> None:
        super().__init__()
        self.cell = cell
        self.replace = replace
        self.pieces: dict[int, _Piece] = {}

    def __enter__(self) -> Self:
        self.parametrizations = cached()
        self.parametrizations.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self.parametrizations.__exit__(*error)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        weight: Any = self.cell.weight_hh
        if id(weight) not in self.pieces:
            self._keep(weight, range(weight.shape[0]), False)
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        known = [self.pieces[id(a)] for a in (*args, *kwargs.values()) if id(a) in self.pieces]
        if not known:
            return func(*args, **kwargs)
        product = self._product(name, args, kwargs)
        if product is not None:
            return product
        result = func(*args, **kwargs)
        self._follow(name, known[0], args, kwargs, result)
        return result

    def _product(self, name: str, args: Any, kwargs: Any) -> Tensor | None:
        """Compute what replaces this call if it is a product with whole gate blocks, else return None."""
        match = _match(name, args, kwargs)
        if match is None:
            return None
        operand, weight, addend, shows_transposed = match
        piece = self.pieces.get(id(weight))
        if piece is None or piece.transposed != shows_transposed or getattr(operand, "ndim", 0) < 2:
            return None
        blocks = self._blocks(piece)
        if blocks is None:
            return None
        if weight.dim() == 1:
            return self.replace(torch.mul, operand, weight, blocks)
        product = self.replace(F.linear, operand, weight.t() if shows_transposed else weight, blocks)
        return product if addend is None else product + addend

    def _blocks(self, piece: _Piece) -> range | None:
        """Return the gate blocks that ``piece`` shows, or None where it cuts one or is a vector of several."""
        size, rows = self.cell.hidden_size, piece.rows
        cut = rows.step != 1 or rows.start % size or rows.stop % size or not rows
        if cut or (piece.tensor.dim() == 1 and len(rows) != size):
            return None
        return range(rows.start // size, rows.stop // size)

    def _follow(self, name: str, piece: _Piece, args: Any, kwargs: Any, result: Any) -> None:
        """Remember ``result`` where it shows rows of the weight."""
        if name in TRANSPOSITIONS and piece.tensor.dim() == 2:
            self._keep(result, piece.rows, not piece.transposed)
        elif name in SPLITS:
            start = 0
            for part in result:
                length = part.shape[int(piece.transposed)]
                self._keep_part(part, piece, slice(start, start + length))
                start += length
        elif name == "narrow":
            start = kwargs.get("start", args[2] if len(args) > 2 else 0)
            self._keep_part(result, piece, slice(start, start + result.shape[int(piece.transposed)]))
        elif name == "__getitem__":
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            along_rows = index[int(piece.transposed)] if len(index) > int(piece.transposed) else slice(None)
            if isinstance(along_rows, slice) and result.dim() == piece.tensor.dim():
                self._keep_part(result, piece, along_rows)
        elif name not in PRODUCTS and getattr(result, "shape", None) == piece.tensor.shape:
            self._keep(result, piece.rows, piece.transposed)

    def _keep_part(self, part: Tensor, piece: _Piece, along_rows: slice) -> None:
        """Remember a ``part`` that shows some rows of ``piece``, unless it lacks columns."""
        columns = -1 if not piece.transposed else 0
        rows = piece.rows[along_rows]
        whole = part.dim() == 1 or part.shape[columns] == piece.tensor.shape[columns]
        if whole and len(rows) == part.shape[int(piece.transposed)]:
            self._keep(part, rows, piece.transposed)

    def _keep(self, tensor: Tensor, rows: range, transposed: bool) -> None:
        self.pieces[id(tensor)] = _Piece(tensor, rows, transposed)


def _match(name: str, args: Any, kwargs: Any) -> tuple[Any, Any, Any, bool] | None:
    """Return operand, weight, addend and whether the weight must be transposed, if this may be a recurrent product."""
    if name == "linear":
        named = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
        return named["input"], named["weight"], named.get("bias"), False
    if name in MATMULS and len(args) == 2:
        return args[0], args[1], None, True
    if name == "addmm" and len(args) == 3 and not kwargs:
        return args[1], args[2], args[0], True
    if name in MULTIPLICATIONS and len(args) == 2:
        vectors = [getattr(a, "ndim", 0) == 1 for a in args]
        if vectors == [False, True]:
            return args[0], args[1], None, False
        if vectors == [True, False]:
            return args[1], args[0], None, False
    return None


def join(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate gate blocks ``(batch, hidden)``."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)


def recurrent_blocks(cell: Cell[Any], wrapper: str) -> tuple[int, int]:
    """Return how many gate blocks ``cell.weight_hh`` has and the size of what it is multiplied with.

    One step is run on zeros to see that every block takes part in a product that can be found.

    Raises:
        ValueError: the cell has no ``weight_hh``, or its products with it cannot be found; the message names
            ``wrapper``, which needs them.
    """
    name = type(cell).__name__
    weight = getattr(cell, "weight_hh", None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{wrapper} acts on recurrent products, but {name} has no weight_hh to multiply a state with")
    blocks, rest = divmod(weight.shape[0], cell.hidden_size)
    if rest or not blocks:
        raise ValueError(
            f"{wrapper} needs {name}.weight_hh with whole gates of {cell.hidden_size} rows, got {tuple(weight.shape)}"
        )
    seen: set[int] = set()

    def record(multiply: Multiply, operand: Tensor, rows: Tensor, of: range) -> Tensor:
        seen.update(of)
        return multiply(operand, rows)

    x = example_input(cell)
    with torch.no_grad():
        wx, state = cell.project(x), cell.initial_state(x)
        with RecurrentProducts(cell, record):
            cell.step(wx, state)
    missing = [cell.gates[k] if k < len(cell.gates) else str(k) for k in range(blocks) if k not in seen]
    if missing:
        raise ValueError(
            f"{wrapper} finds no product with the rows of weight_hh for {', '.join(missing)} in {name}.step: "
            "write it as F.linear(h, self.weight_hh), or with slices of whole gates; for a vector, h * self.weight_hh"
        )
    return blocks, weight.shape[1] if weight.dim() == 2 else cell.hidden_size
