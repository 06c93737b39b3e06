"""Small encoder-decoder networks of every kind, and batches for them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.layers import AdditiveAttention, DotAttention, GeneralAttention, recurrent_stack
from seqmodels.models import Copies, EncoderDecoder
from tests.conftest import TOLERANCE

DOUBLE = TOLERANCE[torch.float64]
SOURCES, TARGETS, START, END = 11, 9, 2, 3
LENGTHS = torch.tensor([5, 1, 3])
COPIES = Copies(torch.tensor([[4, 9, 10, 4, 8], [9, 0, 0, 0, 0], [5, 6, 9, 0, 0]]), extra=2)
KINDS: dict[str, dict[str, Any]] = {
    "none": {"attention": None},
    "additive": {"attention": AdditiveAttention},
    "dot": {"attention": DotAttention},
    "general": {"attention": GeneralAttention, "tie_weights": True},
    "coverage": {"attention": partial(AdditiveAttention, coverage=True)},
    "output": {"attention": GeneralAttention, "input_feeding": "output"},
    "context": {"attention": AdditiveAttention, "input_feeding": "context"},
    "covered context": {"attention": partial(AdditiveAttention, coverage=True), "input_feeding": "context"},
    "copy": {"attention": GeneralAttention, "copy": True},
    "copy output": {"attention": partial(AdditiveAttention, coverage=True), "input_feeding": "output", "copy": True},
}


def stack(cell: Any, *sizes: int, **options: Any) -> Callable[..., Any]:
    return partial(recurrent_stack, cell, hidden_sizes=sizes or [6], **options)


def network(kind: str = "additive", **options: Any) -> EncoderDecoder:
    sizes = {"source_vocab_size": SOURCES, "target_vocab_size": TARGETS, "embedding_size": 5, "feature_size": 7}
    parts = {"encoder": stack(GRUCell, 3, bidirectional=True), "decoder": stack(LSTMCell)}
    return EncoderDecoder(**{**parts, **sizes, **KINDS[kind], **options}).double().eval()


def batch(steps: int = 4) -> tuple[Tensor, Tensor]:
    """Return sources of several lengths, and targets."""
    sources, targets = torch.randint(4, SOURCES, (3, 5)), torch.randint(4, TARGETS, (3, steps))
    targets[:, 0] = START
    return sources.masked_fill(torch.arange(5) >= LENGTHS[:, None], 0), targets


def copies_of(model: EncoderDecoder) -> Copies | None:
    return None if model.decoder.pointer is None else COPIES
