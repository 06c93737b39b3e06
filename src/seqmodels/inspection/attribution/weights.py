"""The contributions to a decision by one of two methods, with a sentence on how exact they are."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.inspection.attribution.contributions import integrated_gradients, occlusion
from seqmodels.inspection.attribution.decisions import Decision

METHODS = ("integrated_gradients", "occlusion")
WINDOWS = 64  # replaced parts of a long sequence


class Weights(NamedTuple):
    """Contributions of a batch, by one of the methods."""

    values: Tensor  # (batch, time, features); of one feature if the method gives one value for each step
    sentence: str  # how, and how exactly
    notes: list[str]  # on each row
    gap: float = 0.0  # the most that a sum misses the difference of the outputs, as a share of it


def weights_of(found: Decision, method: str, *, tokens: bool) -> Weights:
    """Return the contributions to a decision.

    Args:
        found: the decision.
        method: one of :data:`METHODS`.
        tokens: whether the features are those of an embedding, which say nothing one by one.

    Raises:
        ValueError: they do not sum to the difference of the outputs.
    """
    if method == "occlusion":
        window = -(-found.inputs.shape[1] // WINDOWS)
        by_feature = not tokens and found.inputs.shape[2] > 1
        drops = occlusion(found.score, found.inputs, found.baseline, window=window, by_feature=by_feature)
        how = f"Occlusion of {window} step{'s' * (window > 1)} at a time: by how much the {found.measure} falls"
        with torch.no_grad():
            notes = [f"{found.measure} {value:.3g}" for value in found.score(found.inputs).tolist()]
        return Weights(drops if by_feature else drops[..., None], how, notes)
    done = integrated_gradients(found.score, found.inputs, found.baseline)
    gap = float(done.gap.max())
    how = (
        f"Integrated gradients of the {found.measure}: the contributions sum to the difference from an input without "
        f"content within {gap:.2%} (limit 1 %, {done.points} points, {len(done.gap)} rows)"
    )
    notes = [
        f"{found.measure} {output:.3g}; {base:.3g} for an input without content"
        for output, base in zip(done.output.tolist(), done.base.tolist(), strict=True)
    ]
    return Weights(done.values.sum(2, keepdim=True) if tokens else done.values, how, notes, gap)
