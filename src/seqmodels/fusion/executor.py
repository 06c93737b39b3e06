"""What an executor is: the interface between derived programs and what runs them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from seqmodels.fusion.program import Program


class Arguments(NamedTuple):
    """What a program runs on.

    Attributes:
        streams: tensors ``(batch, time, width)`` for ``program.streams``; at least one. Those that the program does not
            read may be placeholders.
        carries: tensors ``(batch, width)`` for ``program.carries``: their values before the first step or, if the
            program runs backwards, after the last.
        vectors: tensors ``(width,)`` for ``program.vectors``.
        weights: matrices, by the number in ``Product.weight``: ``(depth, width)`` or, if the product is ``transposed``,
            ``(width, depth)``. Some of them the program may not use.
        lengths: int64 ``(batch,)`` on any device, in [0, time]; None if all rows have ``time`` steps. Steps of a row
            from its length on are skipped: outputs are 0 there, carries stay as they are, totals gain nothing, and what
            a stream holds there, NaN included, has no effect. A backward program starts each row at its last step.
            Outputs that another output holds one step later (the values of ``program.shifted()``) need not be 0 in
            the step after a row's last: that may hold the carry.
        resets: bool ``(batch, time)`` with any strides; None if no row is reset. Before a step whose flag is set, a row
            of a forward program takes the carries of ``restart``, also where it is the first step. After that step of a
            backward program, what the row carries is its gradient of these: it is added up and returned as
            ``Results.restarts``, and 0 is carried on. Flags of skipped steps have no effect. With resets no
            output is what another one holds one step later, whatever ``program.shifted()`` says.
        restart: tensors ``(batch, width)`` for ``program.carries`` of a forward program with resets; else empty.
        first: memory ``(batch, time, width)`` for the first output of a forward program, with any strides but a
            contiguous last dimension. None: the executor allocates that output, contiguous.
        apart: whether the caller needs every output of a forward program contiguous and in memory of its own. It copies
            those that are not.
    """

    streams: Sequence[Tensor]
    carries: Sequence[Tensor]
    vectors: Sequence[Tensor]
    weights: Sequence[Tensor]
    lengths: Tensor | None = None
    resets: Tensor | None = None
    restart: Sequence[Tensor] = ()
    first: Tensor | None = None
    apart: bool = False


class Results(NamedTuple):
    """What a program returns.

    Attributes:
        outputs: tensors ``(batch, time, width)`` for ``program.outputs``.
        carries: tensors ``(batch, width)`` after the last step or, if the program runs backwards, before the first.
        totals: tensors ``(width,)``, summed over all steps and rows that were not skipped.
        restarts: tensors ``(batch, width)`` for ``program.carries`` of a backward program with resets: sums of what was
            carried out of the steps before which a row was reset; else empty.
    """

    outputs: list[Tensor]
    carries: list[Tensor]
    totals: list[Tensor]
    restarts: list[Tensor]


class Executor(Protocol):
    """Runs programs, over whole sequences, on one kind of device.

    A program (:class:`~seqmodels.fusion.program.Program`) is one step as a graph of values. What its values mean is
    said in :mod:`seqmodels.fusion.values`; ``tests/fusion/interpreter.py`` is the same in forty lines of Python, and
    every executor is compared with it. Autograd is no concern of an executor: it runs forward programs and backward
    programs alike, always without recording gradients, and :mod:`seqmodels.fusion.function` puts them together.

    **Tensors.** All tensors of a call are on one device and, ``lengths`` and ``resets`` aside, in one floating dtype,
    which is what the executor computes in. ``batch`` and ``time`` are at least 1. Every width is at least 1 and is
    fixed by the program. Inputs may have any strides: a stream that is the same at every step has stride 0 over time,
    one that is the same for all rows stride 0 over the batch, streams may be batch first or time first
    (:mod:`seqmodels.fusion.layout`), weights may be transposed views, last dimensions need not be contiguous.

    **Ownership.** Inputs belong to the caller and are never written to, except ``first``. Results belong to the caller
    from then on: nothing of them may be used again by a later call. All outputs but the first of a *forward* program
    may be views of one common buffer, since only a backward program reads them; every output of a *backward* program,
    every carry, restart and total must be memory of its own, which autograd hands to the user.

    **Order.** Rows of the batch are independent: they may run in any order and at the same time. The steps of a row
    run in order of time, or from the last to the first if ``program.backwards``. All values of a step read the carries
    as they were before the step.

    **Refusing.** ``Fused.executor`` decides which devices and dtypes an executor gets; it must run every program there.
    If it cannot build one after all (no compiler, a compiler that fails), :meth:`prepare` or :meth:`run` raises
    ``BuildFailed`` with the reason, before anything has been written, and the portable executor runs instead. What was
    prepared must run: in a backward pass nothing takes over. Any other exception is an error of the executor. Results
    may differ from the interpreter's by rounding alone; infinities and NaN are the interpreter's.

    **Threads.** One executor object serves all threads at once.
    """

    def prepare(self, programs: Sequence[Program], arguments: Arguments) -> None:
        """Compile, or load, programs that will soon be run; an executor may do nothing here.

        It is called with the forward and the backward program of a step together, so that both are built at once, and
        with the arguments of the first; those of the other have their dtype, device, batch, time, lengths and resets.
        :meth:`run` is also called with programs that were never prepared.

        Raises:
            BuildFailed: a program cannot be built here.
        """
        ...

    def run(self, program: Program, arguments: Arguments) -> Results:
        """Run a program over a sequence.

        Raises:
            BuildFailed: the program cannot be built here.
        """
        ...

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor:
        """Return the gradient of a weight: operands, transposed, times the cotangent of their product.

        It is called after a backward program has written the cotangents of all steps, which are 0 past a row's length.
        An executor may leave it to :class:`~seqmodels.fusion.portable.executor.Portable`.

        Args:
            operands: tensors ``(batch, time, width)``; their columns stand side by side. May be empty with ``ones``.
            cotangent: ``(batch, time, columns)``.
            ones: whether a column of ones follows the operands, whose row of the result is the gradient of a bias.

        Returns:
            ``(sum of the widths, columns)``, and one more row with ``ones``: sums over all steps of all rows.
        """
        ...
