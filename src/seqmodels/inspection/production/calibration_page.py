"""``seqmodels explain what=calibration``: are probabilities right as often as they say?"""

from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from seqmodels.data import Loading
from seqmodels.data.loaders import Split
from seqmodels.errors import ConfigError
from seqmodels.inspection.charts import Figure
from seqmodels.inspection.finding import Finding
from seqmodels.inspection.production.calibration import BINS, Reliability, fit_temperature, reliability, sure
from seqmodels.inspection.report.blocks import Section, Text
from seqmodels.inspection.subject import Rows, Subject
from seqmodels.sequence import length_mask
from seqmodels.tasks import Classification, LanguageModeling, MultilabelClassification, Tagging, Task
from seqmodels.tasks.steps import real_steps

LOGITS = 5_000_000  # that are read, of each split
AT_ONCE = 64


def answers(task: Task[Any], split: Split[Any]) -> tuple[Tensor, Tensor]:
    """Return the logits ``(n, classes)`` and targets of the rows of a split, or of all their steps.

    Raises:
        ValueError: the task gives no probabilities.
    """
    kinds = (Classification, MultilabelClassification, Tagging, LanguageModeling)
    if not isinstance(task, kinds):
        raise ValueError(
            f"calibration is for models that give probabilities (classification, multilabel, tagging, "
            f"language_modeling), not for {type(task).__name__}"
        )
    logits, targets = list[Tensor](), list[Tensor]()
    with torch.inference_mode():
        for batch in split.loader("val", Loading(batch_size=AT_ONCE)):
            found, true = _answers(task, batch)
            logits.append(found)
            targets.append(true)
            if sum(part.numel() for part in logits) > LOGITS:
                break
    return torch.cat(logits), torch.cat(targets)


def _answers(task: Task[Any], batch: Any) -> tuple[Tensor, Tensor]:
    if isinstance(task, Tagging):
        scores = task.model(batch.inputs, batch.lengths).double()
        real = length_mask(batch.lengths, scores.shape[1])
        marginals = task.model.tags.marginals(scores, batch.lengths)
        return marginals[real].clamp(min=1e-300).log(), batch.targets[real]
    if isinstance(task, LanguageModeling):
        logits, _ = task.model(batch.inputs, task.model.renew(None, batch.fresh), batch.lengths)
        real = batch.targets >= 0
        return logits[real], batch.targets[real]
    entries = real_steps(task.model(batch.inputs, batch.lengths), batch).without_padding()
    return entries.outputs, entries.targets


def explain(subject: Subject, rows: Rows, config: DictConfig) -> Finding:  # noqa: ARG001  (it reads more rows)
    """Fit a temperature on the validation split, and show the calibration with and without it on other data.

    These are the file ``input=`` if it is given, else the test split, else the second half of the validation split.
    """
    fitted, true = answers(subject.task, subject.split("val"))
    source = "the test split"
    if config.input is not None:
        records = subject.preprocessing.read(config.input, config.format)
        shown, outcomes = answers(
            subject.task, subject.preprocessing.labelled(records, subject.recipe["class_names"] or ())
        )
        source = str(config.input)
    elif subject.data.has_test:
        shown, outcomes = answers(subject.task, subject.split("test"))
    else:
        half, source = len(fitted) // 2, "half of the validation split"
        if half < 1:
            raise ConfigError("the validation split has a single answer: name other data with input=FILE")
        shown, outcomes = fitted[half:], true[half:]
        fitted, true = fitted[:half], true[:half]
    curves = {"as trained": reliability(*sure(shown, outcomes))}
    arrays: dict[str, Any] = {"loss": np.array(_loss(shown, outcomes))}
    sentence = (
        f"On {len(outcomes)} answers of {source} the expected calibration error is {curves['as trained'].error:.3f}"
    )
    try:
        temperature = fit_temperature(fitted, true)
    except ValueError as reason:
        sentence += f"; no temperature was fitted: {reason}"
    else:
        name = f"temperature {temperature:.2f}"
        curves[name] = reliability(*sure(shown, outcomes, temperature))
        arrays |= {"temperature": np.array(temperature), "scaled_loss": np.array(_loss(shown / temperature, outcomes))}
        sentence += (
            f", and {curves[name].error:.3f} with the temperature {temperature:.3f} that was fitted on {len(true)} "
            f"answers of the validation split (the model is {'too sure' if temperature > 1 else 'not sure enough'}); "
            f"the loss goes from {arrays['loss']:.4f} to {arrays['scaled_loss']:.4f}"
        )
    for name, found in zip(("before", "after"), curves.values(), strict=False):
        arrays |= {f"{name}/{part}": values.numpy() for part, values in found._asdict().items()}
        arrays[f"{name}/error"] = np.array(found.error)
    sentence += f" ({BINS} bins of equal width)."
    figures = {"Reliability": figure_of(curves)}
    use = (
        "Apply the temperature T to probabilities p as p ** (1 / T), divided by the sum over all classes; to logits by "
        "dividing them by T."
    )
    return Finding("Calibration", sentence, arrays, figures, [Section("", [Text(use)])])


def _loss(logits: Tensor, targets: Tensor) -> float:
    if targets.dim() == 1:
        return float(F.cross_entropy(logits.double(), targets))
    return float(F.binary_cross_entropy_with_logits(logits.double(), targets.double()))


def figure_of(found: dict[str, Reliability]) -> Figure:
    """Draw the share of right answers over their probability, beside the diagonal of perfect calibration."""
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "name": "calibrated", "x": [0, 1], "y": [0, 1], "line": {"dash": "dot"}}
    ]
    for name, each in found.items():
        used = each.number > 0
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{name} (error {each.error:.3f})",
                "x": each.confidence[used].tolist(),
                "y": each.accuracy[used].tolist(),
                "text": [f"{int(count)} answers" for count in each.number[used]],
                "marker": {"size": (5 + 20 * (each.number[used] / each.number.max()).sqrt()).tolist()},
            }
        )
    layout = {
        "xaxis": {"title": {"text": "probability"}, "range": [0, 1.02]},
        "yaxis": {"title": {"text": "share of right answers"}, "range": [0, 1.02]},
    }
    return {"data": data, "layout": layout}
