"""Windows over text for truncated back-propagation through time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.data.loaders import ResumableLoader
from seqmodels.data.text.corpus import Corpus, Piece, equal_rows, training_rows, whole_documents

IGNORE = -100
"""Target value with nothing to predict; ignored by ``torch.nn.functional.cross_entropy`` by default."""

READ = 2048
"""Tokens of all rows that are read at a time where their number does not matter: for the loss of new texts."""

Span = tuple[int, int, bool]
"""Range of tokens (see :data:`~seqmodels.data.text.corpus.Piece`), and whether its first one starts from the initial
state."""


class TextWindow(NamedTuple):
    """The next steps of each row. A row continues its previous window unless it is fresh.

    If documents are packed, a row may hold several, one after the other: ``resets`` says where the later ones start.
    """

    inputs: Tensor  # (batch, time) tokens
    lengths: Tensor | None  # (batch,) real steps per row, at least 1; None if every step has a target
    targets: Tensor  # (batch, time) the next tokens; IGNORE in padding and in finished rows
    fresh: Tensor  # (batch,) bool: a document starts here, from the initial state
    scale: float  # window length relative to the usual one; factor for the learning rate
    weight: float = 1.0  # of its mean loss among all processes, by number of targets
    characters: float = math.nan  # of the whole text, per target
    unknown: float = math.nan  # share of the targets of the whole text that are not in the vocabulary
    places: Tensor | None = None  # (n,) the steps with a target, counted along the rows; None if every step has one
    resets: Tensor | None = None  # (batch, time) bool: from the initial state again; None if no row does behind step 0


class EpochNumber:
    """Number of the next epoch; set by Lightning at the start of an epoch."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


@dataclass(eq=False)
class WindowLoader(ResumableLoader[TextWindow]):
    """Windows over a corpus, row by row; training and evaluation form rows differently.

    For training, documents are shuffled in each epoch, seeded by ``seed``, and concatenated; rows may start and end
    within documents. For evaluation, no document is cut, so that the loss does not depend on the number of rows, except
    for a single text, which is cut as in training.

    Args:
        corpus: tokens and documents.
        rows: batch size per process.
        bptt: window length in steps.
        training: shuffle documents in each epoch.
        packed: for training, fill windows with as many documents as fit, instead of ending them where a document ends.
        random_windows: random window lengths as in AWD-LSTM (Merity et al., 2018): around ``bptt`` or, one time in
            twenty, around half of it, with a deviation of 5. For a single text only.
        seed: seed of orders and lengths.
        rank, world_size: this process and the number of processes, which read their own rows in equally many steps.
    """

    ORIGIN = "tokens"

    corpus: Corpus
    _: KW_ONLY
    rows: int
    bptt: int
    training: bool = False
    packed: bool = False
    random_windows: bool = False
    seed: int = 0
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        super().__init__()
        self.sampler = EpochNumber()  # Lightning looks up set_epoch under these names
        self.batch_sampler = None
        self._own = slice(self.rank * self.rows, (self.rank + 1) * self.rows)
        self._steps = self._count()

    def __len__(self) -> int:
        return self._steps

    def batches(self, first: int) -> Iterator[TextWindow]:
        epoch, self.sampler.epoch = self.sampler.epoch, self.sampler.epoch + 1
        for slots, scale in islice(self._slots(epoch), first, None):
            own = slots[self._own]
            weight = self.world_size * _targets(own) / max(_targets(slots), 1)
            yield self._window(own, scale, weight)

    def origins(self, epoch: int, number: int) -> list[str]:
        slots, _ = next(islice(self._slots(epoch), number, None))
        return ["+".join(f"{first}-{end}" for first, end, _ in slot) or "none" for slot in slots[self._own]]

    def _slots(self, epoch: int) -> Iterator[tuple[list[list[Span]], float]]:
        """Yield, per step, the window of each row of all processes, empty after its end, and the scale."""
        generator = np.random.default_rng([self.seed, epoch])
        edges = self._random_edges(generator) if self.random_windows else None
        queues = [self._windows(pieces, edges) for pieces in self._pieces(generator)]
        scales = [1.0] * self._steps if edges is None else (np.diff(edges) / self.bptt).tolist()
        for scale in scales:
            yield [next(queue, []) for queue in queues], scale

    def _pieces(self, generator: np.random.Generator | None = None) -> list[list[Piece]]:
        """Return the pieces read by each row of all processes."""
        rows = self.rows * self.world_size
        if self.random_windows:
            return equal_rows(self.corpus, rows)
        if not self.training:
            return whole_documents(self.corpus, rows, self.bptt)
        documents = self.corpus.documents
        order = np.arange(documents) if generator is None else generator.permutation(documents)
        return training_rows(self.corpus, rows, self.bptt, order, packed=self.packed)

    def _count(self) -> int:
        """Return the number of steps per epoch, equal for all epochs and processes."""
        if self.random_windows:
            usual = 0.95 * self.bptt + 0.05 * self.bptt / 2
            return max(1, round(self._longest() / usual))
        rows = [[end - first for first, end in pieces] for pieces in self._pieces()]
        if self.packed:
            return max(-(-sum(lengths) // self.bptt) for lengths in rows)
        return max(sum(-(-length // self.bptt) for length in lengths) for lengths in rows)

    def _longest(self) -> int:
        return max(end - first for ((first, end),) in self._pieces())

    def _random_edges(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw the window edges of a row, one window per step of the epoch, covering all of its tokens."""
        usual = np.where(generator.random(self._steps) < 0.95, self.bptt, self.bptt / 2)
        lengths = np.maximum(5, np.rint(generator.normal(usual, 5.0)))
        edges = np.concatenate([[0.0], np.cumsum(lengths)])
        return np.rint(edges * (self._longest() / edges[-1])).astype(np.int64)  # drawn lengths do not sum up exactly

    def _windows(self, pieces: Sequence[Piece], edges: NDArray[np.int64] | None = None) -> Iterator[list[Span]]:
        """Yield the windows of one row."""
        if edges is not None:
            for first, end in pieces:
                for low, high in pairwise((edges + first).tolist()):
                    yield [(low, min(high, end), low == first)] if low < end else []
            return
        window, room = list[Span](), self.bptt
        for first, end in pieces:
            low = first
            while low < end:
                high = min(low + room, end)
                window.append((low, high, low == first))
                room -= high - low
                if room == 0 or (high == end and not self.packed):
                    yield window
                    window, room = [], self.bptt
                low = high
        if window:
            yield window

    def _window(self, slots: Sequence[Sequence[Span]], scale: float, weight: float) -> TextWindow:
        """Read one window, given its spans for each row."""
        lengths = [max(_targets([spans]), 1) for spans in slots]
        time = max(lengths)
        inputs = np.zeros((len(slots), time), np.int64)
        targets = np.full((len(slots), time), IGNORE, np.int64)
        resets = np.zeros((len(slots), time), np.bool_)
        for row, spans in enumerate(slots):
            at = 0
            for first, end, starts in spans:
                text = self.corpus.tokens[first : end + 1]
                to = at + end - first
                inputs[row, at:to], targets[row, at:to] = text[:-1], text[1:]
                resets[row, at] = starts and at > 0
                at = to
        ragged = min(lengths) < time or [] in slots
        fresh = [not spans or spans[0][2] for spans in slots]
        characters, unknown = (count / self.corpus.targets for count in self.corpus.counts)
        return TextWindow(
            torch.from_numpy(inputs),
            torch.tensor(lengths) if ragged else None,
            torch.from_numpy(targets),
            torch.tensor(fresh),
            scale,
            weight,
            characters,
            unknown,
            # found here, as an accelerator would have to be waited for
            torch.from_numpy(np.flatnonzero(targets != IGNORE)) if ragged else None,
            torch.from_numpy(resets) if resets.any() else None,
        )


def _targets(slots: Iterable[Sequence[Span]]) -> int:
    return sum(end - first for spans in slots for first, end, _ in spans)
