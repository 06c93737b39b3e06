"""Texts that a model wrote: outputs beside their references, the attention they paid, samples of a language model."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from seqmodels.data import TextPreprocessing
from seqmodels.decoding import Sampling, generate
from seqmodels.errors import ConfigError
from seqmodels.tasks import LanguageModeling, Seq2Seq
from seqmodels.tasks.metrics.error_rates import errors_of
from seqmodels.tasks.texts.examples import chosen_examples
from seqmodels.tasks.texts.metrics import Output
from seqmodels.tasks.texts.text_task import TextTask
from seqmodels.training.recording.inputs import shortened
from seqmodels.training.trained import preprocessing_of

COMPARED, WORST, LETTERS = 300, 5, 300  # outputs, and letters of each, among which the worst are looked for
SAMPLES, TOKENS, TEMPERATURE = 2, 150, 0.8
WEIGHT_DIGITS = 3

Found = dict[str, Any]


def texts(task: TextTask[Any]) -> Found:
    """Return examples of outputs, always of the same inputs, then those with the most errors, and attention."""
    outputs = task.test_outputs
    chosen = chosen_examples(outputs)
    spaced = outputs[:: max(1, len(outputs) // COMPARED)]
    rates = {id(output): _rate(output) for output in spaced}
    wrong = sorted((o for o in spaced if rates[id(o)] > 0), key=lambda o: -rates[id(o)])[:WORST]
    found: Found = {"examples": [_plain(o) for o in chosen], "worst": [_plain(o) for o in wrong if o not in chosen]}
    if isinstance(task, Seq2Seq):
        drawn = [alignment for alignment in task.alignments() if len(alignment.source) * len(alignment.output) <= 2500]
        found["attention"] = [
            {
                "source": alignment.source,
                "output": alignment.output,
                "weights": [[round(weight, WEIGHT_DIGITS) for weight in row] for row in alignment.weights],
            }
            for alignment in drawn
        ]
    return found


@torch.inference_mode()
def samples(task: LanguageModeling, recipe: Mapping[str, Any]) -> Found:
    """Return what a language model writes without a prompt, sampled with the seed of the run."""
    text = preprocessing_of(dict(recipe))
    if not isinstance(text, TextPreprocessing):
        raise ConfigError(f"{type(text).__name__} cannot write texts")
    model, before = task.model, text.prompt("")
    generator = torch.Generator(task.device).manual_seed(recipe["config"]["seed"])
    choose = partial(Sampling(temperature=TEMPERATURE).choose, generator=generator)
    scores, state = model(before.expand(SAMPLES, -1).to(task.device))
    steps = generate(model.step, scores[:, -1], state, length=TOKENS, choose=choose)
    rows = torch.stack(list(steps), dim=1).tolist()
    ended = [row[: row.index(text.end)] if text.end in row else row for row in rows]
    written = ["".join(text.written(row, before.tolist())) for row in ended]
    return {"temperature": TEMPERATURE, "texts": [shortened(each) for each in written]}


def _rate(output: Output) -> float:
    cut = [reference[:LETTERS] for reference in output.references]
    errors, units = errors_of(output.output[:LETTERS], cut, "characters")
    return errors / max(units, 1)


def _plain(output: Output) -> dict[str, str]:
    return {
        "input": shortened(output.source),
        "reference": shortened(output.references[0] if output.references else ""),
        "output": shortened(output.output),
    }
