"""Writing sequences token by token: the likeliest token each time, or one that is drawn."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqmodels.decoding.hypotheses import Hypothesis, Step, limits_of, repeated, selected, summed_in


def greedy(step: Step, state: Any, *, start: Tensor, end: int, max_length: int | Tensor) -> list[list[Hypothesis]]:
    """Write one sequence for each row, the likeliest token each time.

    Args:
        step: the model, as :meth:`~seqmodels.models.EncoderDecoder.step`; see :func:`beam_search`.
        state: the model's state before the first token, a row for each sequence.
        start: the token that starts each sequence, ``(batch,)``.
        end: the token that ends a sequence.
        max_length: the most tokens that are written, the end included: for all rows, or for each ``(batch,)``.

    Returns:
        A list for each row, of one hypothesis.

    Raises:
        ValueError: ``start`` or ``max_length`` is wrong.

    Example:
        >>> def next_letter(tokens, state):
        ...     return torch.eye(5)[(tokens + 1) % 5].log_softmax(-1), state
        >>> [[found]] = greedy(next_letter, (), start=torch.tensor([0]), end=4, max_length=9)
        >>> found.tokens, found.complete
        ([1, 2, 3], True)
    """
    return sample(
        step, state, start=start, end=end, max_length=max_length, choose=lambda log_probs: log_probs.argmax(-1)
    )


def sample(
    step: Step,
    state: Any,
    *,
    start: Tensor,
    end: int,
    max_length: int | Tensor,
    choose: Callable[[Tensor], Tensor],
    samples: int = 1,
) -> list[list[Hypothesis]]:
    """Write sequences for each row, each token chosen among all.

    Args:
        step, state, start, end, max_length: as in :func:`greedy`.
        choose: from log-probabilities ``(rows, vocab)`` to tokens ``(rows,)``, as
            :meth:`~seqmodels.decoding.Sampling.choose`.
        samples: number of sequences for each row.

    Returns:
        A list for each row, of ``samples`` hypotheses, the most probable first.

    Raises:
        ValueError: an option is wrong.

    Example:
        >>> from seqmodels.decoding import Sampling
        >>> def coin(tokens, state):
        ...     return torch.tensor([0.5, 0.5]).log().expand(len(tokens), 2), state
        >>> found = sample(coin, (), start=torch.tensor([0]), end=1, max_length=3, choose=Sampling().choose, samples=4)
        >>> len(found[0])
        4
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    with torch.inference_mode():
        limits, rows = limits_of(start, max_length), len(start)
        tokens, state = start.repeat_interleave(samples), repeated(state, samples)
        written = start.new_zeros(rows, samples, int(limits.max()))
        lengths = start.new_zeros(rows, samples)
        complete = torch.zeros_like(lengths, dtype=torch.bool)
        log_prob: Tensor | None = None
        live, running = torch.arange(rows, device=start.device), ~complete
        for length in range(written.shape[2]):
            log_probs, state = step(tokens, state)
            tokens = choose(log_probs)
            if log_prob is None:
                log_prob = log_probs.new_zeros(rows, samples, dtype=summed_in(log_probs))
            gain = log_probs.gather(1, tokens[:, None]).view(-1, samples)
            chosen = tokens.view(-1, samples)
            log_prob[live] += gain.where(running, 0)
            written[live, :, length] = chosen
            lengths[live] += running
            complete[live] |= running & (chosen == end)
            running = running & (chosen != end) & (length + 1 < limits[live])[:, None]
            kept = running.any(1).nonzero()[:, 0]
            if len(kept) == 0:
                break
            if len(kept) < len(running):
                inside = (kept[:, None] * samples + torch.arange(samples, device=kept.device)).flatten()
                tokens, state = tokens[inside], selected(state, inside, kept)
                live, running = live[kept], running[kept]
    assert log_prob is not None
    return _listed(written, lengths, log_prob, complete)


def _listed(written: Tensor, lengths: Tensor, log_prob: Tensor, complete: Tensor) -> list[list[Hypothesis]]:
    """Return the hypotheses of each row, the most probable first."""
    columns = zip(written.tolist(), lengths.tolist(), log_prob.tolist(), complete.tolist(), strict=True)
    rows = [[_hypothesis(*one) for one in zip(*row, strict=True)] for row in columns]
    return [sorted(row, key=lambda found: -found.score) for row in rows]


def _hypothesis(tokens: list[int], length: int, log_prob: float, complete: bool) -> Hypothesis:
    return Hypothesis(tokens[: length - complete], log_prob, log_prob, complete)
