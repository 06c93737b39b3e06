"""Texts that a language model writes after a prompt, and how a model of pairs draws its outputs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from seqmodels.config.signatures import check_signature, checked_seed
from seqmodels.data import TextPreprocessing
from seqmodels.decoding import Sampling, generate
from seqmodels.errors import ConfigError
from seqmodels.models import LanguageModel
from seqmodels.sequence import map_leaves
from seqmodels.tasks.texts.search import Drawing, Writing
from seqmodels.training.trained import SEARCH

USUAL: Mapping[str, Any] = {
    "length": 500, "temperature": 0.8, "top_k": None, "top_p": None, "samples": 1, "seed": 1
}  # fmt: skip
"""Options of generating and their values unless given."""

DRAWING = ("temperature", "top_k", "top_p", "samples")
"""Those that make a model of pairs draw its outputs."""


def sampling_of(options: Mapping[str, Any]) -> Sampling:
    """Return how tokens are sampled, after checking all generation options, ``length`` and ``samples`` included.

    Raises:
        ConfigError: an option is outside its range.
    """
    for name in ("length", "samples"):
        value = options[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be a positive whole number, got {value!r}")
    node = {name: options[name] for name in ("temperature", "top_k", "top_p")}
    check_signature(Sampling, {"_target_": "generate", **node}, "", {})
    try:
        return Sampling(**node)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def drawing_of(given: Mapping[str, Any], search: Writing | None) -> Drawing:
    """Return how a model of pairs draws texts, in place of the search of training.

    Args:
        given: options of generating that are not None, one of ``DRAWING`` among them.
        search: that of training, with the most tokens of an output.

    Raises:
        ConfigError: an option is outside its range, or options of a search are given, too.
    """
    if searching := [name for name in SEARCH if name != "max_length" and name in given]:
        drawing = next(name for name in DRAWING if name in given)
        raise ConfigError(f"{drawing}= draws texts, {searching[0]}= searches for them: leave one of them out")
    options = {**USUAL, **given}
    sampling, seed, longest = sampling_of(options), checked_seed(options["seed"]), getattr(search, "max_length", None)
    return Drawing(sampling=sampling, samples=options["samples"], seed=seed, max_length=longest)


def streamed(
    model: LanguageModel, text: TextPreprocessing, prompt: str, *, length: int, sampling: Sampling, seed: int
) -> Iterator[str]:
    """Yield a continuation of a prompt piece by piece, up to its length in tokens or the end of the document."""
    before, choose = text.prompt(prompt), _choice(model, sampling, seed)
    tokens = (row[0] for row in continuations(model, before, length, 1, choose))
    yield from text.written(takewhile(lambda token: token != text.end, tokens), before.tolist())


def several(
    model: LanguageModel,
    text: TextPreprocessing,
    prompt: str,
    *,
    length: int,
    sampling: Sampling,
    seed: int,
    number: int,
) -> list[str]:
    """Return several continuations of a prompt, written in one batch."""
    before, choose = text.prompt(prompt), _choice(model, sampling, seed)
    steps = list(until_all_end(continuations(model, before, length, number, choose), text.end))
    return [
        "".join(text.written(takewhile(lambda token: token != text.end, tokens), before.tolist()))
        for tokens in zip(*steps, strict=True)
    ]


def _choice(model: LanguageModel, sampling: Sampling, seed: int) -> Callable[[Tensor], Tensor]:
    generator = torch.Generator(model.embedding.weight.device).manual_seed(seed)
    return partial(sampling.choose, generator=generator)


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
