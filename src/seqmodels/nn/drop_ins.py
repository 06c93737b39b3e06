"""Drop-in replacements for ``torch.nn.LSTM``, ``torch.nn.GRU`` and ``torch.nn.RNN``."""

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.cells import (
    Cell,
    ElmanCell,
    ElmanState,
    LSTMCell,
    LSTMState,
    ProjectedLSTMCell,
    ProjectedLSTMState,
    ResetAfterGRUCell,
    ResetAfterGRUState,
)
from seqmodels.errors import nearest
from seqmodels.interop.pytorch import cell_weights
from seqmodels.layers.stack import CellFactory
from seqmodels.nn.interface import Device, Input, RecurrentModule


class DropIn(RecurrentModule):
    """The parameters of a ``torch.nn`` module, bound to cells at each call.

    The parameters, two biases included, belong to this module. Its cells have none of their own: at a call they get
    what their equations need as functions of the parameters, so that gradients reach both biases.
    """

    def __init__(
        self,
        cell_factory: CellFactory,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Device,
        dtype: torch.dtype | None,
        backend: str,
    ) -> None:
        super().__init__(input_size, num_layers, batch_first, dropout, bidirectional, backend)
        if not isinstance(bias, bool):
            raise TypeError(f"bias must be True or False, got {bias!r}")
        self.hidden_size = hidden_size
        self.bias = bias
        self._names: list[list[str]] = []
        with torch.device("meta"):  # shapes without memory
            cells = self.cells_from(partial(cell_factory, hidden_size=hidden_size))
        for index, cell in enumerate(cells):
            self._names.append([])
            for name, weight in cell.named_parameters():
                biases = ["bias_ih", "bias_hh"] if bias and name == "bias" else []
                for own in [name] if name.startswith("weight") else biases:
                    self._names[-1].append(own + self._suffix(index))
                    parameter = nn.Parameter(torch.empty(weight.shape, device=device, dtype=dtype))
                    self.register_parameter(self._names[-1][-1], parameter)
        self._cells = tuple(cells)  # in a tuple they are no submodules
        self.reset_parameters()

    def _suffix(self, index: int) -> str:
        """Return what the names of the parameters of a layer and direction end in."""
        layer, direction = divmod(index, self.directions)
        return f"_l{layer}{'_reverse' * direction}"

    def bound_cell(self, index: int) -> Cell[Any]:
        """Return a cell for one call alone, since another thread may be in the same module."""
        cell = copy.copy(self._cells[index])
        vars(cell)["_parameters"] = cell_weights(self, cell, self._suffix(index))
        cell.training = self.training
        return cell

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/sqrt(hidden), 1/sqrt(hidden)), the numbers ``torch.nn`` draws from a seed."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        return ", ".join(filter(None, [f"{self.input_size}, {self.hidden_size}", super().extra_repr()]))


class LSTM(DropIn):
    """Drop-in replacement for ``torch.nn.LSTM``, made of :class:`~seqmodels.cells.LSTMCell`.

    Outputs, final states and gradients are ``torch.nn.LSTM``'s from the same parameters, and a ``state_dict`` loads in
    both directions. A seed draws the same parameters, and on the CPU the same dropout but for a ``PackedSequence``.
    What is not supported: an empty batch, ``torch.jit.script``, and ``torch.jit.trace`` outside ``torch.no_grad()``.

    Args:
        input_size: features of a step.
        hidden_size: size of the memory, and of the output unless ``proj_size`` is given.
        num_layers: layers, each reading the outputs of the one below.
        bias: whether the gates have biases.
        batch_first: whether inputs and outputs are ``(batch, time, features)`` instead of ``(time, batch, features)``.
        dropout: probability of zeroing an output of each layer but the last, in training.
        bidirectional: whether each layer also reads backwards; outputs of both directions lie side by side.
        proj_size: size of a projection of the output, which is also fed back
            (:class:`~seqmodels.cells.ProjectedLSTMCell`); 0 for none.
        device: where the parameters lie.
        dtype: the parameters' type.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: a size or a probability is out of range.
        TypeError: a flag is neither True nor False.

    Example:
        >>> layer = LSTM(4, 5, num_layers=2, batch_first=True)
        >>> layer.load_state_dict(torch.nn.LSTM(4, 5, num_layers=2).state_dict())
        <All keys matched successfully>
        >>> output, (h, c) = layer(torch.randn(3, 7, 4))
        >>> output.shape, h.shape
        (torch.Size([3, 7, 5]), torch.Size([2, 3, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        if proj_size != 0 and not 0 < proj_size < hidden_size:
            raise ValueError(f"proj_size must be 0 or less than hidden_size, {hidden_size}, got {proj_size}")
        factory: CellFactory = partial(ProjectedLSTMCell, proj_size=proj_size) if proj_size else LSTMCell
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(factory, *sizes, bias, batch_first, dropout, bidirectional, device, dtype, backend)
        self.proj_size = proj_size

    def forward(self, input: Input, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Input, tuple[Tensor, Tensor]]:
        """Return the outputs of the last layer, and the final ``(h, c)`` of all layers.

        Args:
            input: ``(time, batch, input)``, ``(batch, time, input)`` with ``batch_first``, ``(time, input)`` without a
                batch, or a ``PackedSequence``.
            hx: initial ``(h, c)``, each ``(layers * directions, batch, size)``; zeros unless given.

        Raises:
            TypeError: an argument is of the wrong kind or dtype.
            ValueError: an argument has the wrong shape.
        """
        kind = ProjectedLSTMState if self.proj_size else LSTMState
        if hx is not None and (isinstance(hx, Tensor) or len(hx) != len(kind._fields)):
            raise TypeError(f"hx must be a pair of tensors (h, c), got {type(hx).__name__} of {len(hx)}")
        output, state = self.run(input, None if hx is None else kind(*hx))
        return output, tuple(state)


class GRU(DropIn):
    """Drop-in replacement for ``torch.nn.GRU``, made of :class:`~seqmodels.cells.ResetAfterGRUCell`.

    Outputs, final states and gradients are ``torch.nn.GRU``'s from the same parameters, as in :class:`LSTM`.

    Args:
        input_size: features of a step.
        hidden_size: size of the state and the output.
        num_layers: as in :class:`LSTM`, like all that follow.
        bias: whether the gates have biases.
        batch_first: whether inputs and outputs are ``(batch, time, features)``.
        dropout: probability of zeroing an output between layers, in training.
        bidirectional: whether each layer also reads backwards.
        device: where the parameters lie.
        dtype: the parameters' type.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: a size or a probability is out of range.
        TypeError: a flag is neither True nor False.

    Example:
        >>> output, h = GRU(4, 5, bidirectional=True)(torch.randn(7, 3, 4))
        >>> output.shape, h.shape
        (torch.Size([7, 3, 10]), torch.Size([2, 3, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(ResetAfterGRUCell, *sizes, bias, batch_first, dropout, bidirectional, device, dtype, backend)

    def forward(self, input: Input, hx: Tensor | None = None) -> tuple[Input, Tensor]:
        """Return the outputs of the last layer, and the final ``h`` of all layers.

        Args:
            input: as in :meth:`LSTM.forward`.
            hx: initial ``h (layers * directions, batch, hidden)``; zeros unless given.

        Raises:
            TypeError: an argument is of the wrong kind or dtype.
            ValueError: an argument has the wrong shape.
        """
        if not (hx is None or isinstance(hx, Tensor)):
            raise TypeError(f"hx must be a tensor, got {type(hx).__name__}")
        output, (h,) = self.run(input, None if hx is None else ResetAfterGRUState(hx))
        return output, h


class RNN(DropIn):
    """Drop-in replacement for ``torch.nn.RNN``, made of :class:`~seqmodels.cells.ElmanCell`.

    Outputs, final states and gradients are ``torch.nn.RNN``'s from the same parameters, as in :class:`LSTM`.

    Args:
        input_size: features of a step.
        hidden_size: size of the state and the output.
        num_layers: as in :class:`LSTM`, like all that follow but for the next.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: whether there are biases.
        batch_first: whether inputs and outputs are ``(batch, time, features)``.
        dropout: probability of zeroing an output between layers, in training.
        bidirectional: whether each layer also reads backwards.
        device: where the parameters lie.
        dtype: the parameters' type.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: a size, a probability or the nonlinearity is none that there is.
        TypeError: a flag is neither True nor False.

    Example:
        >>> output, h = RNN(4, 5, nonlinearity="relu")(torch.randn(7, 4))
        >>> output.shape, h.shape
        (torch.Size([7, 5]), torch.Size([1, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            hint = nearest(nonlinearity, ("tanh", "relu"))
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}{hint}")
        factory = partial(ElmanCell, activation=nonlinearity)
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(factory, *sizes, bias, batch_first, dropout, bidirectional, device, dtype, backend)
        self.nonlinearity = nonlinearity

    def forward(self, input: Input, hx: Tensor | None = None) -> tuple[Input, Tensor]:
        """Return the outputs of the last layer, and the final ``h`` of all layers, as :meth:`GRU.forward` does."""
        if not (hx is None or isinstance(hx, Tensor)):
            raise TypeError(f"hx must be a tensor, got {type(hx).__name__}")
        output, (h,) = self.run(input, None if hx is None else ElmanState(hx))
        return output, h
