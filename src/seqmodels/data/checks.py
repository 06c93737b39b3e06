"""Validation of a split before training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind

if TYPE_CHECKING:
    from seqmodels.data.sequences import Sequences


def check_split(name: str, split: "Sequences", kind: TargetKind, sizes: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` naming split, row and value if the split does not match ``kind`` and ``sizes``.

    Class targets are int64 in 0 to ``output_size - 1``, two or more; labels are floats 0 or 1, ``output_size`` of
    them; regression targets are finite floats, ``output_size`` of them; inputs are finite, and tokens in 0 to
    ``vocab_size - 1``.
    """
    if len(split) == 0:
        raise ValueError(f"the {name} split is empty")
    _check_targets(name, split, kind, int(sizes["output_size"]))
    _check_inputs(name, split, sizes)


def _check_targets(name: str, split: "Sequences", kind: TargetKind, output_size: int) -> None:
    targets = split.targets
    leading = "steps" if split.stepwise else "rows"
    if kind == "classification":
        if targets.dtype != torch.int64 or targets.dim() != 1:
            raise ValueError(
                f"the {name} split: classes must be int64 ({leading},), got {targets.dtype} {tuple(targets.shape)}"
            )
        if output_size < 2:
            raise ValueError(
                "the data have one class, the same in every row, and a classification needs two or more: "
                "check which column or file holds the labels"
            )
        wrong = (targets < 0) | (targets >= output_size)
        rule = f"a class must be 0 to {output_size - 1}"
    else:
        words = "labels" if kind == "multilabel" else "values"
        if not targets.is_floating_point() or targets.shape[1:] != (output_size,):
            raise ValueError(
                f"the {name} split: {words} must be floats ({leading}, {output_size}), "
                f"got {targets.dtype} {tuple(targets.shape)}"
            )
        right = (targets == 0) | (targets == 1) if kind == "multilabel" else targets.isfinite()
        wrong = ~right.all(1)
        rule = "a label must be 0 or 1" if kind == "multilabel" else "a target must be finite"
    if wrong.any():
        index = int(wrong.nonzero()[0])
        row = split.row_of(index, step=split.stepwise)
        raise ValueError(f"the {name} split, row {row}: {rule}, got {targets[index].tolist()}")


def _check_inputs(name: str, split: "Sequences", sizes: Mapping[str, Any]) -> None:
    values = split.values
    if values.is_floating_point():
        if bool(values.sum().isfinite()):  # fast path in one pass; a sum may overflow, so check further
            return
        wrong, rule = ~values.isfinite().flatten(1).all(1), "an input is not finite"
    else:
        vocab_size = int(sizes["vocab_size"])
        wrong, rule = (values < 0) | (values >= vocab_size), f"a token must be 0 to {vocab_size - 1}"
        wrong = wrong.flatten(1).any(1) if wrong.dim() > 1 else wrong
    if wrong.any():
        index = _first(wrong)
        row = split.row_of(index, step=split.packed)
        raise ValueError(f"the {name} split, row {row}: {rule}")


def _first(wrong: Tensor) -> int:
    return int(wrong.nonzero()[0])
