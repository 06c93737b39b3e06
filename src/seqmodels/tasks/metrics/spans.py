"""Metrics of tags: accuracy of tokens, and precision, recall and F1 of the spans that tags of BIO or BIOES mark."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

OUTSIDE = "O"
SPAN_TAG = re.compile("([BIES])-(.+)", re.DOTALL)
PREFIXES = "OBIES"
OUT, BEGIN, _, END, SINGLE = range(len(PREFIXES))


def are_spans(tag_names: Sequence[str]) -> bool:
    """Return whether tags mark spans: all are ``O`` or ``B-``, ``I-``, ``E-`` or ``S-`` with a type.

    Example:
        >>> are_spans(["O", "B-PER", "I-PER"]), are_spans(["NOUN", "VERB"]), are_spans(["O"])
        (True, False, False)
    """
    marked = [name for name in tag_names if name != OUTSIDE]
    return bool(marked) and all(map(SPAN_TAG.fullmatch, marked))


class TagScores(Metric):
    """Compute the accuracy of tags over all tokens and, if the tags mark spans, the scores of these.

    A predicted span counts if its type and both of its ends are right. ``span_precision`` is the share of the predicted
    spans that count, ``span_recall`` that of the true ones, ``span_f1`` their harmonic mean; each is 0 where there are
    no spans to take a share of. Sequences of tags that no span writes are read as the script ``conlleval`` of
    CoNLL-2000 to 2003 reads them: a span starts at ``B-`` and ``S-``; at any tag whose type differs from that of the
    tag before; and at ``I-`` or ``E-`` after ``O``, ``E-`` or ``S-``. It ends where the next one starts, or before
    ``O``. So a type that begins with ``I-`` is a span, and one that lacks its ``E-`` is too.

    Args:
        tag_names: the tags by index.

    Example:
        >>> scores = TagScores(["O", "B-LOC", "I-LOC"])
        >>> predicted, true = torch.tensor([[1, 2, 0, 1]]), torch.tensor([[1, 2, 0, 0]])
        >>> scores.update(predicted, true, torch.ones(1, 4, dtype=torch.bool))
        >>> {name: round(float(value), 2) for name, value in scores.compute().items()}
        {'accuracy': 0.75, 'span_precision': 0.5, 'span_recall': 1.0, 'span_f1': 0.67}
    """

    full_state_update = False
    tokens: Tensor  # correct ones, all
    spans: Tensor  # correct ones, predicted ones, true ones

    def __init__(self, tag_names: Sequence[str]) -> None:
        super().__init__()
        self.marks_spans = are_spans(tag_names)
        if self.marks_spans:
            parts = [SPAN_TAG.fullmatch(name) for name in tag_names]
            kinds = sorted({part[2] for part in parts if part})
            prefixes = [PREFIXES.index(part[1] if part else OUTSIDE) for part in parts]
            types = [kinds.index(part[2]) + 1 if part else 0 for part in parts]
            self.register_buffer("_prefixes", torch.tensor(prefixes), persistent=False)
            self.register_buffer("_types", torch.tensor(types), persistent=False)
        self.add_state("tokens", default=torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("spans", default=torch.zeros(3, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, true: Tensor, real: Tensor) -> None:
        """Add tags ``(batch, time)`` by index; ``real (batch, time)`` is true where there is a token."""
        self.tokens += torch.stack([((predicted == true) & real).sum(), real.sum()])
        if not self.marks_spans:
            return
        starts, ends, types = zip(*(self._spans(tags, real) for tags in (predicted, true)), strict=True)
        both = starts[0] & starts[1] & (ends[0] == ends[1]) & (types[0] == types[1])
        self.spans += torch.stack([both.sum(), starts[0].sum(), starts[1].sum()])

    def compute(self) -> dict[str, Tensor]:
        correct, tokens = self.tokens.cpu().double()
        scores = {"accuracy": correct / tokens}
        if self.marks_spans:
            both, predicted, true = self.spans.cpu().double()
            scores["span_precision"] = both / predicted.clamp(min=1)
            scores["span_recall"] = both / true.clamp(min=1)
            scores["span_f1"] = 2 * both / (predicted + true).clamp(min=1)
        return {name: score.float().to(self.device) for name, score in scores.items()}

    def _spans(self, tags: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where spans start, and for each start the step after the span's end, and its type."""
        assert isinstance(self._prefixes, Tensor)
        assert isinstance(self._types, Tensor)
        prefix, kind = (table[tags].masked_fill(~real, OUT) for table in (self._prefixes, self._types))
        before, kind_before = F.pad(prefix[:, :-1], (1, 0)), F.pad(kind[:, :-1], (1, 0))  # O before the first token
        closed = (before == OUT) | (before == END) | (before == SINGLE)
        starts = (prefix != OUT) & ((prefix == BEGIN) | (prefix == SINGLE) | closed | (kind != kind_before))
        time = tags.shape[1]
        steps = torch.arange(time, device=tags.device).expand_as(tags)
        stops = torch.where(starts | (prefix == OUT), steps, time)  # where a span that is open before ends
        following = stops.flip(1).cummin(1).values.flip(1)  # the next stop at or after each step
        return starts, F.pad(following[:, 1:], (0, 1), value=time), kind
