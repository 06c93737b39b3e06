"""Generate text with a trained language model, or write a text for each that is typed, and print it."""

import sys
from collections.abc import Iterable, Iterator
from itertools import count
from typing import IO

import torch
from omegaconf import DictConfig
from torch import Tensor

from seqmodels.data import PairPreprocessing, TextPreprocessing, Vocabulary
from seqmodels.errors import ConfigError
from seqmodels.exporting.loading import load
from seqmodels.exporting.model import Model, configured, configured_writer
from seqmodels.exporting.writing import USUAL, sampling_of
from seqmodels.models import LanguageModel
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.tasks.predictors.texts import TextPredictor
from seqmodels.training.quiet import quiet
from seqmodels.training.trained import SEARCH


def write_samples(config: DictConfig, prompt: str, out: IO[str]) -> None:
    """Write continuations of a prompt by the language model of ``config.run``; a single one is streamed.

    Raises:
        ConfigError: an option is wrong, or the model of the run writes no texts.
    """
    given = {name: config[name] for name in USUAL if config[name] is not None}
    options = {**USUAL, **given}
    sampling_of(options)
    with quiet():
        model = load(config.run, ckpt=config.ckpt, device=config.accelerator)
    search = {name: config.get(name) for name in SEARCH}
    if isinstance(model.predictor, TextPredictor):
        model.predictor = configured_writer(model.predictor, {**given, **search})
        with cpu_threads(threads_for(config.threads, model.module, 1)):
            write_outputs(model, [prompt] if prompt else _typed(), out)
        return
    configured(model.predictor, search)  # raises if one is given
    if not isinstance(model.module, LanguageModel):
        raise ConfigError(f"run={config.run} holds no language model but a {type(model.module).__name__}")
    assert isinstance(model.preprocessing, TextPreprocessing)
    _warn_about_unknown(model.preprocessing.prompt(prompt), model.preprocessing.vocabulary)
    number = options.pop("samples")
    with cpu_threads(threads_for(config.threads, model.module, number)):
        if number == 1:
            out.write(prompt)
            for piece in model.stream(prompt, **options):
                out.write(piece)
                out.flush()
            out.write("\n")
            return
        for count, text in enumerate(model.samples(prompt, number=number, **options), start=1):
            out.write(f"--- {count} ---\n{text}\n")


def write_outputs(model: Model, sources: Iterable[str], out: IO[str]) -> None:
    """Write the best outputs for each source as soon as it is read, with their scores if there are several.

    A source without a token gets an empty line, and the reason on standard error.
    """
    text = model.preprocessing
    assert isinstance(text, PairPreprocessing)
    for source in sources:
        try:
            pair = text.encode({"text": source})
        except ValueError as error:
            sys.stderr.write(f"seqmodels: {error}\n")
            out.write("\n")
            continue
        _warn_about_unknown(torch.tensor(pair.source), text.source_vocabulary)
        (prediction,) = model.predict([source])
        several = len(prediction.candidates) > 1
        out.writelines(
            f"{score:.3f}\t{written}\n" if several else f"{written}\n" for written, score in prediction.candidates
        )
        out.flush()


def _typed() -> Iterator[str]:
    """Yield the lines of standard input, after a prompt if they are typed.

    Raises:
        ValueError: a line is not UTF-8.
    """
    for number in count(1):
        if sys.stdin.isatty():
            sys.stderr.write("> ")
            sys.stderr.flush()
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            byte = f"byte 0x{error.object[error.start]:02x}"
            raise ValueError(f"standard input: {byte}, in line {number} or below, is not utf-8") from error
        if not line:
            return
        yield line.rstrip("\r\n")


def _warn_about_unknown(prompt: Tensor, vocabulary: Vocabulary) -> None:
    """Warn about prompt tokens outside the vocabulary, which the model reads as ``<unk>``."""
    unknown = int((prompt == vocabulary.unknown).sum()) if vocabulary.unknown is not None else 0
    if unknown:
        sys.stderr.write(f"seqmodels: {unknown} of {len(prompt)} tokens of the prompt are unknown to the model\n")
