"""The contract that every recurrent cell keeps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from seqmodels.cells.hooks import has_hooks, run_pre_hooks
from seqmodels.sequence import leaves

State = TypeVar("State", bound=tuple[Any, ...])

Device = torch.device | str | int | None
DType = torch.dtype | None

Projected = Any
"""What depends on a cell's input alone: a tensor, or a (nested) ``NamedTuple`` of tensors and of
:class:`~seqmodels.sequence.Fixed` values. ``(batch, time, ...)`` over a sequence, ``(batch, ...)`` at a step."""


class Cell(nn.Module, ABC, Generic[State]):
    """One time step of a recurrent network. A cell never sees time, lengths, devices or back-ends.

    The equation is split in two: :meth:`project` computes what depends on the input alone, once for a whole sequence;
    :meth:`step` computes the recurrence, as printed. A state is a ``NamedTuple`` of
    tensors ``(batch, ...)``. Randomness is drawn in :meth:`project`, never in :meth:`step`.

    Parameters follow one convention: ``weight_ih (gates * hidden, input)``, ``weight_hh (gates * hidden, hidden)`` and
    one ``bias (gates * hidden,)``, their rows in the order of :attr:`gates`.

    Hooks that are registered on a cell run once per sequence, as they do on ``torch.nn.GRU``: see
    :func:`~seqmodels.backends.unroll`.

    Example:
        >>> from typing import NamedTuple
        >>> class SumState(NamedTuple):
        ...     h: Tensor
        >>> class SumCell(Cell[SumState]):
        ...     def __init__(self, size: int) -> None:
        ...         super().__init__()
        ...         self.set_sizes(size, size)
        ...
        ...     def initial_state(self, x: Tensor) -> SumState:
        ...         return SumState(h=self.zeros(x))
        ...
        ...     def project(self, x: Tensor) -> Tensor:
        ...         return x
        ...
        ...     def step(self, wx: Tensor, state: SumState) -> tuple[Tensor, SumState]:
        ...         h = state.h + wx
        ...         return h, SumState(h)
        >>> SumCell(2)(torch.ones(1, 2))
        (tensor([[1., 1.]]), SumState(h=tensor([[1., 1.]])))
    """

    input_size: int
    hidden_size: int
    gates: tuple[str, ...] = ()
    """Names of the gate blocks, in the order of the weights' rows."""
    retention: ClassVar[Mapping[str, int]] = MappingProxyType({"f": 1, "i": -1, "z": -1})
    """The effect of an open gate on the state: 1 keeps it, -1 replaces it. Initialisers of gate biases read it."""

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]: ...

    def set_sizes(self, input_size: int, hidden_size: int) -> None:
        """Set both sizes.

        Raises:
            ValueError: one of them is not a positive whole number.
        """
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def output_size(self) -> int:
        """Size of the output of :meth:`step`; the hidden size unless a cell says otherwise."""
        return self.hidden_size

    @abstractmethod
    def initial_state(self, x: Tensor) -> State:
        """Return the state before the first step for ``x (batch, ...)``, on its device and in its dtype."""

    @abstractmethod
    def project(self, x: Tensor) -> Projected:
        """Map inputs ``(..., input)`` to what depends on them alone, each step independently."""

    @abstractmethod
    def step(self, wx: Projected, state: State) -> tuple[Tensor, State]:
        """Advance one step from projected input; return the output ``(batch, output)`` and the new state."""

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Advance one step from raw input, as ``torch.nn.LSTMCell`` does.

        Args:
            x: ``(batch, input)``.
            state: the state before the step; the initial state by default.

        Returns:
            The output ``(batch, output)`` and the new state.

        Raises:
            ValueError: ``x`` or a part of ``state`` has the wrong shape.
            TypeError: ``state`` is not of the type that :meth:`initial_state` returns.
        """
        if x.dim() != 2 or x.shape[-1] != self.input_size:
            raise ValueError(f"x must have shape (batch, {self.input_size}), got {tuple(x.shape)}")
        if self._modules and has_hooks(self):
            run_inner_pre_hooks(self, x, state)
        initial = self.initial_state(x)
        if state is None:
            return self.step(self.project(x), initial)
        if type(state) is not type(initial):
            fields = ", ".join(getattr(initial, "_fields", ()))
            raise TypeError(f"state must be a {type(initial).__name__}({fields}), got {type(state).__name__}")
        for leaf, model in zip(leaves(state), leaves(initial), strict=True):
            if leaf.shape != model.shape:
                wanted, got = tuple(model.shape), tuple(leaf.shape)
                raise ValueError(f"each part of state must have shape {wanted} for this x, got {got}")
        return self.step(self.project(x), state)

    def effective(self) -> "Cell[State]":
        """Return the cell to run: a wrapper that changes nothing right now returns what it wraps."""
        return self

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/sqrt(hidden), 1/sqrt(hidden)), as ``torch.nn`` does."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def zeros(self, x: Tensor, size: int | None = None) -> Tensor:
        """Return zeros ``(batch, size)`` like ``x (batch, ...)``; ``size`` is the hidden size by default."""
        return torch.zeros(x.shape[0], self.hidden_size if size is None else size, device=x.device, dtype=x.dtype)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


def run_inner_pre_hooks(cell: Cell[Any], x: Tensor, state: Any) -> None:
    """Run the forward pre-hooks of the cells that a cell holds, whose methods it uses without calling them.

    Raises:
        TypeError: one of them returns other arguments, which nothing would read.
    """
    for inner in cell.modules():
        if inner is not cell and isinstance(inner, Cell) and run_pre_hooks(inner, x, state):
            raise TypeError(
                f"a forward pre-hook of a {type(inner).__name__} inside a {type(cell).__name__} must return None; "
                f"to replace the input, register it on the {type(cell).__name__}"
            )


def empty_parameters(device: Device, dtype: DType) -> Callable[..., nn.Parameter]:
    """Return a function that makes an uninitialised parameter of a shape, on this device and in this dtype."""
    return lambda *shape: nn.Parameter(torch.empty(shape, device=device, dtype=dtype))


def check_sizes(**sizes: int) -> None:
    """Raise ``ValueError`` naming the first of ``sizes`` that is not a positive whole number."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be a positive whole number, got {size!r}")


class LinearCell(Cell[State]):
    r"""A cell that is linear in its state, :math:`h_t = a_t \odot h_{t-1} + b_t`: time can be scanned in parallel.

    Its state has one field, ``h (batch, hidden)``, which is also its output. Subclasses define :meth:`coefficients`
    instead of :meth:`step`.

    Example:
        >>> from seqmodels.cells import MinGRUCell
        >>> a, b = MinGRUCell(4, 5).coefficients(torch.zeros(3, 7, 10))
        >>> a.shape, b.shape
        (torch.Size([3, 7, 5]), torch.Size([3, 7, 5]))
    """

    @abstractmethod
    def coefficients(self, wx: Projected) -> tuple[Tensor, Tensor]:
        """Return ``a`` and ``b``, each ``(..., hidden)``, from projected inputs ``(..., *)``."""

    def step(self, wx: Projected, state: State) -> tuple[Tensor, State]:
        a, b = self.coefficients(wx)
        h = a * state[0] + b
        return h, type(state)(h)
