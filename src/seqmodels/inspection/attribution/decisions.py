"""What a trained task decided for each row of a batch, as a function of the numbers that its network reads."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.data.series.windows import ForecastBatch
from seqmodels.inspection.attribution.contributions import Score, embedded, fed
from seqmodels.layers import AttentionPool, SelfAttention
from seqmodels.sequence import length_mask
from seqmodels.tasks import (
    Classification,
    Forecasting,
    LanguageModeling,
    MultilabelClassification,
    Regression,
    Tagging,
    Task,
)

FLAT = 0.01  # of the course of a window, in the baseline of a forecast


class Decision(NamedTuple):
    """One answer for each row, and the function that tells how strongly it holds."""

    inputs: Tensor  # (batch, time, features): series, or embedded tokens
    baseline: Tensor  # an input without content, broadcast to the same shape
    score: Score
    names: list[str]  # what was decided, for each row
    measure: str  # what the score is
    steps: list[int]  # the step whose output is explained


class Choice(NamedTuple):
    """What to explain; None leaves it to the model."""

    step: int | None = None  # the last one if negative
    target: int | None = None  # class, label, output or token


def decision(task: Task[Any], batch: Any, names: Sequence[str] = (), choice: Choice | None = None) -> Decision:
    """Return what a task decided for the rows of a batch.

    The score of a class, tag or token is its log-odds, ``log p - log (1 - p)``: a step that raises all classes alike
    did not decide. That of a number or a forecast is the value. By default the class, tag or token is the most
    probable one; the step of a tagger is the one of which it is least certain, that of a language model the last one,
    and that of a forecast the first.

    The baseline of tokens is an embedding of zeros, that of a series 0, its mean in training; that of a window to
    forecast lies around its own mean with a hundredth of its course, so that what counts is the course within the
    window. (A forecaster with ``normalization="window"`` jumps where a window is constant, since it then divides by 1.)

    Args:
        task: in evaluation mode.
        batch: what its data yield.
        names: of the classes or tags.
        choice: what to explain.

    Raises:
        ValueError: the task decides nothing of the kind, such as one that writes texts, or the choice is out of range.
    """
    choice = choice or Choice()
    if isinstance(task, Forecasting):
        return _forecast(task, batch, choice)
    kinds: dict[type, Callable[..., _Read]] = {
        Classification: _class,
        MultilabelClassification: _label,
        Regression: _number,
        Tagging: _tag,
        LanguageModeling: _token,
    }
    read = next((kind for each, kind in kinds.items() if isinstance(task, each)), None)
    if read is None:
        raise ValueError(
            f"a decision is one of a model that classifies, regresses, forecasts, tags or models language, not of "
            f"{type(task).__name__}, whose outputs are texts"
        )
    place = getattr(task.model, "dropout_input", None)
    if not isinstance(place, nn.Module):
        raise ValueError(
            f"{type(task.model).__name__} has no layer dropout_input, whose input is attributed to: call "
            "integrated_gradients with a function of your own"
        )
    found = read(task, batch, names, choice)
    inputs = embedded(place, found.run)

    def score(x: Tensor) -> Tensor:
        with fed(place, x):
            return found.of(found.run())

    return Decision(inputs, torch.zeros(()), score, found.names, found.measure, found.steps)


class _Read(NamedTuple):
    run: Callable[[], Tensor]  # the outputs of the network
    of: Callable[[Tensor], Tensor]  # the score of each row
    names: list[str]
    measure: str
    steps: list[int]


def _class(task: Classification, batch: Any, names: Sequence[str], choice: Choice) -> _Read:
    return _chosen(lambda: task.model(batch.inputs, batch.lengths), batch, names, choice, "class")


def _label(task: MultilabelClassification, batch: Any, names: Sequence[str], choice: Choice) -> _Read:
    return _chosen(lambda: task.model(batch.inputs, batch.lengths), batch, names, choice, "label")


def _tag(task: Tagging, batch: Any, names: Sequence[str], choice: Choice) -> _Read:
    def run() -> Tensor:
        scores = task.model(batch.inputs, batch.lengths).double()
        return task.model.tags.marginals(scores, batch.lengths).clamp(min=1e-300).log()

    return _chosen(run, batch, names or task.tag_names, choice, "tag")


def _token(task: LanguageModeling, batch: Any, names: Sequence[str], choice: Choice) -> _Read:
    def run() -> Tensor:
        logits: Tensor = task.model(batch.inputs, None, batch.lengths)[0]
        return logits

    return _chosen(run, batch, names, choice, "token")


def _chosen(run: Callable[[], Tensor], batch: Any, names: Sequence[str], choice: Choice, kind: str) -> _Read:
    """Return how strongly one of several answers holds, from the logits of all."""
    with torch.no_grad():
        logits = run().double()
    rows = torch.arange(len(logits))
    steps = rows * 0
    if logits.dim() == 3:
        steps = _steps(logits, batch.lengths, choice.step, least_certain=kind == "tag")
    elif choice.step is not None:
        raise ValueError("step= is for models with an output at every step; this one has one for the whole sequence")
    at = logits[rows, steps] if logits.dim() == 3 else logits
    target = at.argmax(-1) if choice.target is None else torch.full_like(rows, choice.target)
    if not 0 <= int(target[0]) < at.shape[1]:
        raise ValueError(f"target must be the number of a {kind}, 0 to {at.shape[1] - 1}, got {choice.target}")

    def of(logits: Tensor) -> Tensor:
        here = (logits[rows, steps] if logits.dim() == 3 else logits).double()
        return here[rows, target] if kind == "label" else log_odds(here, target)

    known = [names[number] if names else str(number) for number in target.tolist()]
    return _Read(run, of, known, f"log-odds of the {kind}", steps.tolist())


def log_odds(logits: Tensor, target: Tensor) -> Tensor:
    """Return ``log p - log (1 - p)`` of one class of each row ``(batch, classes)``, ``(batch,)``."""
    own = F.one_hot(target, logits.shape[1]).bool()
    return logits[own] - logits.masked_fill(own, -torch.inf).logsumexp(-1)


def _steps(logits: Tensor, lengths: Tensor | None, step: int | None, *, least_certain: bool) -> Tensor:
    """Return the step to explain of each row."""
    time = logits.shape[1]
    lengths = torch.full((len(logits),), time) if lengths is None else lengths
    if step is None and least_certain:
        sure = logits.log_softmax(-1).amax(-1).masked_fill(~length_mask(lengths, time), torch.inf)
        return sure.argmin(1)
    chosen = lengths - 1 if step is None or step < 0 else torch.full_like(lengths, step)
    if bool((chosen >= lengths).any()):
        raise ValueError(f"step must be one of the shortest row's, 0 to {int(lengths.min()) - 1}, got {step}")
    return chosen


def _number(task: Regression, batch: Any, names: Sequence[str], choice: Choice) -> _Read:  # noqa: ARG001
    output, unit = choice.target or 0, 1.0
    if task.scaling is not None:
        unit = float(task.scaling.deviation[output])

    def run() -> Tensor:
        values: Tensor = task.model(batch.inputs, batch.lengths)
        return values

    with torch.no_grad():
        values = run()
    stepwise = values.dim() == 3
    rows = torch.arange(len(values))
    steps = _steps(values, batch.lengths, choice.step, least_certain=False) if stepwise else rows * 0
    known = task.predictor.target_names
    name = known[output] if known else f"output {output}"

    def of(values: Tensor) -> Tensor:
        here = values[rows, steps] if stepwise else values
        return unit * here[:, output].double()

    return _Read(run, of, [name] * len(rows), f"value of {name}", steps.tolist())


def _forecast(task: Forecasting, batch: ForecastBatch, choice: Choice) -> Decision:
    step, series = choice.step or 0, choice.target or 0
    if not 0 <= step < batch.known.shape[1] or not 0 <= series < len(task.names):
        raise ValueError(
            f"step must be 0 to {batch.known.shape[1] - 1} and target 0 to {len(task.names) - 1}, "
            f"got {step} and {series}"
        )

    def score(x: Tensor) -> Tensor:
        params = task.params(batch._replace(inputs=x))
        values = task.model.likelihood.point(params)[:, step, series]
        return values.double() * batch.deviation[:, series]

    count = len(batch.inputs)
    mean = batch.inputs.mean(1, keepdim=True)
    flat = mean + FLAT * (batch.inputs - mean)
    what = f"{task.names[series]}, {step + 1} step{'s' if step else ''} ahead"
    return Decision(batch.inputs, flat, score, [what] * count, f"forecast of {what}", [step] * count)


def attention_weights(module: nn.Module, run: Callable[[], Any]) -> dict[str, Tensor]:
    """Return the weights of the attention inside a network while ``run()`` runs it.

    Of :class:`~seqmodels.layers.AttentionPool`, the weight of each step, ``(batch, time)``; of
    :class:`~seqmodels.layers.SelfAttention`, how much all steps and heads together attend to each step, on average.
    Weights of attention say what a layer read, not what decided: compare them with the contributions.

    Args:
        module: the network.
        run: calls it.

    Returns:
        Weights by the name of the layer, each row summing to 1; empty without such layers.
    """
    found: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(layer: nn.Module, given: Any, options: Any, _: Any) -> None:
            if isinstance(layer, AttentionPool):
                found.setdefault(name, layer.weights(*given, **options))
            elif isinstance(layer, SelfAttention):
                lengths = options.get("lengths", given[2] if len(given) > 2 else None)
                found.setdefault(name, _attended(layer, given[0], lengths))

        return keep

    handles = [
        layer.register_forward_hook(hook(name), with_kwargs=True)
        for name, layer in module.named_modules()
        if isinstance(layer, AttentionPool | SelfAttention)
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return found


def _attended(layer: SelfAttention, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the mean attention to each step ``(batch, time)``, over the real steps that attend and all heads."""
    batch, time, _ = x.shape
    real = length_mask(torch.full((batch,), time) if lengths is None else lengths.to(x.device), time)
    parts = layer.queries_keys_values(torch.where(real[..., None], x, 0)).view(batch, time, 3, layer.heads, -1)
    queries, keys = parts[:, :, 0].transpose(1, 2), parts[:, :, 1].transpose(1, 2)
    scores = queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5  # (batch, heads, time, time)
    weights = scores.masked_fill(~real[:, None, None], -torch.inf).softmax(-1).mean(1)
    return (weights * real[..., None]).sum(1) / real.sum(1, keepdim=True)
