"""Metrics of written texts: BLEU, chrF, ROUGE-L, error rates, exact match."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

from seqmodels.tasks.metrics.error_rates import error_rate

log = logging.getLogger("seqmodels")

EXTERNAL = ("bleu", "chrf")  # by sacrebleu
USUAL: Mapping[str, tuple[str, ...]] = {
    "words": ("bleu", "chrf", "rouge_l", "wer", "cer", "exact_match"),
    "phonemes": ("per", "wer", "exact_match"),
    "characters": ("cer", "exact_match"),
}
"""Metrics that are computed by default, by the unit of the outputs."""


class Output(NamedTuple):
    """A text that a model wrote, what it read, and the texts that would be right."""

    source: str
    references: tuple[str, ...]
    output: str
    row: int = 0  # of the split


Metric = Callable[[Sequence[Output]], float]


def metrics_of(names: Sequence[str] | None, unit: str, *, lowercase: bool = False) -> dict[str, Metric]:
    """Return functions that compute metrics of all outputs together.

    BLEU and chrF are those of sacrebleu, 0 to 100; the others are shares. ``wer`` counts words; where outputs are the
    phonemes of a word, it is the share of words with any error.

    Args:
        names: ``bleu``, ``chrf``, ``rouge_l``, ``wer``, ``cer``, ``per``, ``exact_match``; those usual for the unit if
            None, without BLEU and chrF if sacrebleu is not installed.
        unit: ``words``, ``phonemes`` or ``characters``: what outputs consist of.
        lowercase: whether outputs have no capital letters, so that BLEU and chrF ignore those of references.

    Raises:
        ImportError: BLEU or chrF is named, and sacrebleu is not installed.
        ValueError: a name is unknown.

    Example:
        >>> outputs = [Output("eins", ("one",), "one"), Output("zwei", ("two", "a two"), "too")]
        >>> {name: metric(outputs) for name, metric in metrics_of(["wer", "cer", "exact_match"], "words").items()}
        {'wer': 0.6666666666666666, 'cer': 0.16666666666666666, 'exact_match': 0.5}
    """
    known: dict[str, Metric] = {
        "bleu": partial(_sacrebleu, "BLEU", lowercase=lowercase),
        "chrf": partial(_sacrebleu, "CHRF", lowercase=lowercase),
        "rouge_l": rouge_l,
        "wer": _any_error if unit == "phonemes" else partial(_error_rate, "words"),
        "cer": partial(_error_rate, "characters"),
        "per": partial(_error_rate, "phonemes"),
        "exact_match": exact_match,
    }
    installed = find_spec("sacrebleu") is not None
    if names is None:
        names = [name for name in USUAL[unit] if installed or name not in EXTERNAL]
        if missing := [name for name in USUAL[unit] if name not in names]:
            log.info("without %s, which need the package sacrebleu: pip install 'seqmodels[translation]'", missing)
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"metrics must be among {', '.join(known)}, got {wrong[0]!r}")
    if not installed and (missing := [name for name in names if name in EXTERNAL]):
        raise ImportError(f"the metric {missing[0]} needs the package sacrebleu: pip install 'seqmodels[translation]'")
    return {name: known[name] for name in names}


def exact_match(outputs: Sequence[Output]) -> float:
    """Return the share of outputs that equal one of their references.

    Example:
        >>> exact_match([Output("", ("a b", "a"), "a"), Output("", ("a b",), "a")])
        0.5
    """
    return sum(output.output in output.references for output in outputs) / len(outputs)


def rouge_l(outputs: Sequence[Output]) -> float:
    """Return the mean over outputs of ROUGE-L (Lin, 2004), for each that of the best reference.

    It is the harmonic mean of precision and recall of the longest common subsequence of words, runs of letters and
    digits in lower case, without stemming.

    Example:
        >>> rouge_l([Output("", ("The cat sat down.",), "a cat down")])
        0.5714285714285714
    """
    best = [max(_rouge_l(output.output, reference) for reference in output.references) for output in outputs]
    return sum(best) / len(best)


def _rouge_l(output: str, reference: str) -> float:
    written, right = (re.findall(r"\w+", text.lower()) for text in (output, reference))
    common = _longest_common(written, right)
    return 2 * common / (len(written) + len(right)) if common else 0.0


def _longest_common(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for index, other in enumerate(second, start=1):
            longest = before + 1 if word == other else max(row[index], row[index - 1])
            before, row[index] = row[index], longest
    return row[-1]


def _error_rate(unit: str, outputs: Sequence[Output]) -> float:
    return error_rate([output.output for output in outputs], [output.references for output in outputs], unit)


def _any_error(outputs: Sequence[Output]) -> float:
    return 1 - exact_match(outputs)


def _sacrebleu(kind: str, outputs: Sequence[Output], *, lowercase: bool) -> float:
    from sacrebleu import metrics  # noqa: PLC0415  (an extra)

    metric: Any = getattr(metrics, kind)(lowercase=lowercase)
    most = max(len(output.references) for output in outputs)
    streams = [
        [output.references[number] if number < len(output.references) else None for output in outputs]
        for number in range(most)
    ]
    score = metric.corpus_score([output.output for output in outputs], streams)
    log.info("%s: %s", score.name, metric.get_signature())
    return float(score.score)
