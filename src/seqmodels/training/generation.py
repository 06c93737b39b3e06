"""Generate text with a trained language model, or write a text for each that is typed."""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile
from typing import IO, Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from seqmodels.config.signatures import check_signature
from seqmodels.data import TextPreprocessing, Vocabulary
from seqmodels.decoding import Sampling, generate
from seqmodels.errors import ConfigError
from seqmodels.models import LanguageModel
from seqmodels.sequence import map_leaves
from seqmodels.system.devices import device_of
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.tasks import Seq2Seq
from seqmodels.training.checkpointing import load_trained, preprocessing_of
from seqmodels.training.finding import weights_of
from seqmodels.training.fit import checked_seed
from seqmodels.training.prediction import set_search
from seqmodels.training.quiet import quiet


def write_samples(config: DictConfig, prompt: str, out: IO[str]) -> None:
    """Write continuations of a prompt by the language model of ``config.run``; a single one is streamed.

    Raises:
        ConfigError: an option is wrong, or the model of the run writes no texts.
    """
    sampling = _sampling(config)
    with quiet():
        task, recipe = load_trained(weights_of(config.run, config.ckpt))
    set_search(task, config)
    if isinstance(task, Seq2Seq):
        with cpu_threads(threads_for(config.threads, task.model, 1)):
            write_outputs(task.to(device_of(config.accelerator)), [prompt] if prompt else _typed(), out)
        return
    if not isinstance(task.model, LanguageModel):
        raise ConfigError(f"run={config.run} holds no language model but a {type(task.model).__name__}")
    text = preprocessing_of(recipe)
    assert isinstance(text, TextPreprocessing)
    before = text.prompt(prompt)
    _warn_about_unknown(before, text.vocabulary)
    device = device_of(config.accelerator)
    model = task.model.to(device)
    generator = torch.Generator(device).manual_seed(checked_seed(config.seed))
    with cpu_threads(threads_for(config.threads, model, config.samples)):
        tokens = continuations(
            model, before, config.length, config.samples, partial(sampling.choose, generator=generator)
        )
        if config.samples == 1:
            _stream(text, prompt, before.tolist(), (row[0] for row in tokens), out)
        else:
            _print_all(text, prompt, before.tolist(), list(until_all_end(tokens, text.end)), out)


def write_outputs(task: Seq2Seq, sources: Iterable[str], out: IO[str]) -> None:
    """Write the best outputs for each source as soon as it is read, with their scores if there are several.

    A source without a token gets an empty line, and the reason on standard error.
    """
    task.eval()
    text = task.preprocessing
    for source in sources:
        try:
            pair = text.encode({"text": source})
        except ValueError as error:
            sys.stderr.write(f"seqmodels: {error}\n")
            out.write("\n")
            continue
        _warn_about_unknown(torch.tensor(pair.source), text.source_vocabulary)
        with torch.inference_mode():
            batch = task.transfer_batch_to_device(text.collate([pair]), task.device, 0)
            (records,) = task.records(batch, ())
        for record in records:
            out.write(f"{record['score']:.3f}\t{record['output']}\n" if len(records) > 1 else f"{record['output']}\n")
        out.flush()


def _typed() -> Iterator[str]:
    """Yield the lines of standard input, after a prompt if they are typed."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\r\n")


@torch.inference_mode()
def read_prompt(model: LanguageModel, prompt: Tensor, samples: int) -> tuple[Tensor, Any]:
    """Read a prompt ``(time,)`` once; return scores ``(samples, vocab)`` of the next token and the state per sample."""
    scores, state = model(prompt[None].to(model.embedding.weight.device))
    state = map_leaves(lambda leaf: leaf.expand(samples, *leaf.shape[1:]).contiguous(), state)
    return scores[:, -1].expand(samples, -1), state


def continuations(
    model: LanguageModel, prompt: Tensor, length: int, samples: int, choose: Callable[[Tensor], Tensor]
) -> Iterator[list[int]]:
    """Yield the next token of each of ``samples`` continuations of ``prompt (time,)``, ``length`` times."""
    scores, state = read_prompt(model, prompt, samples)
    for tokens in generate(model.step, scores, state, length=length, choose=choose):
        yield tokens.tolist()


def until_all_end(steps: Iterable[list[int]], end: int | None) -> Iterator[list[int]]:
    """Yield the next tokens of all continuations until each has had the token ``end``."""
    ended: set[int] = set()
    for tokens in steps:
        yield tokens
        ended |= {row for row, token in enumerate(tokens) if token == end}
        if len(ended) == len(tokens):
            return


def _stream(text: TextPreprocessing, prompt: str, before: list[int], tokens: Iterator[int], out: IO[str]) -> None:
    """Write a text token by token, up to the requested length or the end of the document."""
    out.write(prompt)
    for piece in text.written(takewhile(lambda token: token != text.end, tokens), before):
        out.write(piece)
        out.flush()
    out.write("\n")


def _print_all(text: TextPreprocessing, prompt: str, before: list[int], rows: list[list[int]], out: IO[str]) -> None:
    """Write finished texts one after another, each under its number."""
    for number, tokens in enumerate(zip(*rows, strict=True), start=1):
        out.write(f"--- {number} ---\n")
        _stream(text, prompt, before, iter(tokens), out)


def _sampling(config: DictConfig) -> Sampling:
    """Return how tokens are sampled, after checking all generation options."""
    for name in ("length", "samples"):
        value = config[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be a positive whole number, got {value!r}")
    node = {name: config[name] for name in ("temperature", "top_k", "top_p")}
    check_signature(Sampling, {"_target_": "generate", **node}, "", {})
    try:
        return Sampling(**node)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _warn_about_unknown(prompt: Tensor, vocabulary: Vocabulary) -> None:
    """Warn about prompt tokens outside the vocabulary, which the model reads as ``<unk>``."""
    unknown = int((prompt == vocabulary.unknown).sum()) if vocabulary.unknown is not None else 0
    if unknown:
        sys.stderr.write(f"seqmodels: {unknown} of {len(prompt)} tokens of the prompt are unknown to the model\n")
