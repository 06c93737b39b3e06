"""What a model computes for a sequence, and by how much compiled C differs from it."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from seqmodels.cells.base import Cell
from seqmodels.data.tagging.batch import Words
from seqmodels.errors import Refused
from seqmodels.exporting.c.compiled import Answer, Context
from seqmodels.exporting.c.source import Shape
from seqmodels.exporting.checking import LENGTHS, difference_of
from seqmodels.layers import LinearChainCRF, Recurrent
from seqmodels.models import CTCNetwork, SegmentForecaster, SequenceNetwork, Tagger
from seqmodels.models.forecaster import Forecaster


def lengths_for(shape: Shape, lengths: tuple[int, ...] = LENGTHS) -> tuple[int, ...]:
    """Return the numbers of steps that are compared; of a network of segments one to three of these and a rest."""
    if (least := shape.shortest) == 1:
        return lengths
    return tuple(least * (1 + length // 6) + length % least for length in lengths)


def inputs_for(shape: Shape, lengths: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Return random sequences ``(time, input)`` or tokens ``(time,)`` that a model reads."""
    draw = np.random.default_rng(seed)
    if shape.tokens is not None:
        return [draw.integers(0, shape.tokens, length).astype(np.int32) for length in lengths]
    return [draw.standard_normal((length, shape.inputs)).astype(np.float32) for length in lengths]


def contexts_for(shape: Shape, number: int, seed: int = 0) -> list[Context]:
    """Return a random context for each of some sequences; none for models without."""
    if shape.context is None:
        return []
    draw, (known, fixed, groups) = np.random.default_rng(seed), shape.context
    return [
        Context(
            draw.standard_normal(known).astype(np.float32),
            draw.standard_normal(fixed).astype(np.float32),
            np.array(draw.integers(0, groups), np.int32),
        )
        for _ in range(number)
    ]


def expected(model: nn.Module, inputs: list[np.ndarray], contexts: Sequence[Context] = ()) -> list[np.ndarray]:
    """Return what a model computes for each of some sequences alone, ``(output,)`` or ``(time, output)``."""
    own = copy.deepcopy(Recurrent(model) if isinstance(model, Cell) else model).float().cpu().eval()
    for layer in own.modules():
        if isinstance(layer, Recurrent | SegmentForecaster):
            layer.backend = "eager"  # the definition, not the program that the C comes from
    with torch.no_grad():
        if isinstance(own, Forecaster):
            given: list[Context | None] = [*contexts] or [None] * len(inputs)
            return [_forecast(own, x, one).numpy() for x, one in zip(inputs, given, strict=True)]
        return [_outputs(own, torch.from_numpy(x)[None]).numpy() for x in inputs]


def _forecast(model: Forecaster, x: np.ndarray, context: Context | None) -> Tensor:
    window, known, fixed, group = torch.from_numpy(x)[None], torch.zeros(0), torch.zeros(0), torch.zeros(())
    if context is not None:
        known, fixed, group = (torch.from_numpy(part) for part in context)
    found: Tensor = model(
        window, known.view(1, model.horizon, len(known) // model.horizon), None, fixed[None], group[None].long()
    )
    return found.flatten()


def _outputs(model: nn.Module, x: Tensor) -> Tensor:
    x = x if x.is_floating_point() else x.long()
    if isinstance(model, Tagger):
        nothing = torch.zeros(1, 1, dtype=torch.long)
        return model(Words(x, torch.zeros_like(x), nothing, torch.ones(1, dtype=torch.long)))[0]
    found = model(x)
    return (found[0] if isinstance(found, tuple) else found)[0]


def difference(model: nn.Module, answer: Answer, wanted: np.ndarray) -> float:
    """Return the largest difference of what C computed, relative to the model's largest output or to 1.

    It is infinite where the C returned an error; else as in :mod:`seqmodels.exporting.checking`. Steps are
    compared with the run: all of them where each has an output, else the last one. Tags differ by what their score
    lacks of that of the best ones: two sequences of tags may be equally good.
    """
    found = [answer.run]
    if answer.steps is not None:
        found.append(answer.steps if wanted.ndim == 2 else answer.steps[-1])
    if answer.code != 0:
        return float("inf")
    worst = max(difference_of(torch.tensor(one), torch.tensor(wanted)) for one in found)
    return worst if answer.tags is None else max(worst, _lacking(model, answer.run, answer.tags))


def methods_of(
    model: nn.Module, program: Callable[[Sequence[np.ndarray], Sequence[Context]], list[Answer]]
) -> dict[str, Callable[..., Any]]:
    """Return what stands in for methods of a network in evaluation, by name; none where a run is not all it does.

    Args:
        model: the network.
        program: runs the compiled C over sequences.
    """
    if not isinstance(model, SequenceNetwork | Tagger | CTCNetwork | Forecaster):
        return {}

    def run(inputs: Any, lengths: Tensor | None, contexts: list[Context]) -> Tensor:
        x = (inputs.tokens if isinstance(inputs, Words) else inputs).numpy()
        ends = [x.shape[1]] * len(x) if lengths is None else lengths.tolist()
        answers = program([row[:end] for row, end in zip(x, ends, strict=True)], contexts)
        if any(answer.code != 0 for answer in answers):
            raise Refused("the exported C returns an error for the data")
        return pad_sequence([torch.tensor(answer.run) for answer in answers], batch_first=True)

    def forward(inputs: Any, lengths: Tensor | None = None) -> Any:
        output = run(inputs, lengths, [])
        if isinstance(model, CTCNetwork):
            ends = torch.full((len(inputs),), inputs.shape[1]) if lengths is None else lengths
            return output, model.output_lengths(ends)
        if output.dim() == 3:  # of each step, the padding too
            time = (inputs.tokens if isinstance(inputs, Words) else inputs).shape[1]
            output = nn.functional.pad(output, (0, 0, 0, time - output.shape[1]))
        return output

    def forecast(
        inputs: Tensor,
        known: Tensor,
        targets: Tensor | None = None,  # noqa: ARG001  (of training)
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Tensor:
        assert isinstance(model, Forecaster)
        fixed = torch.zeros(len(inputs), 0) if static is None or not model.groups.static_size else static
        groups = torch.zeros(len(inputs)) if series is None or model.groups.embedding is None else series
        parts = zip(known.numpy(), fixed.numpy(), groups.int().numpy(), strict=True)
        contexts = [Context(one, two, np.array(three, np.int32)) for one, two, three in parts]
        return run(inputs, None, contexts).view(len(inputs), model.horizon, model.output_size, -1)

    return {"forward": forecast if isinstance(model, Forecaster) else forward}


def _lacking(model: nn.Module, scores: np.ndarray, tags: np.ndarray) -> float:
    """Return by how much tags are worse than the best ones for these scores."""
    assert isinstance(model, Tagger)
    crf = copy.deepcopy(model.tags).float().cpu()
    assert isinstance(crf, LinearChainCRF)
    batch, chosen = torch.tensor(scores)[None], torch.tensor(tags).long()[None]
    with torch.no_grad():
        best = float(crf.score(batch, crf.best(batch)))
        return (best - float(crf.score(batch, chosen))) / max(1.0, abs(best))
