"""What a server does with its model: predictions and generated texts; sessions are in ``stepping``."""

import time
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

from seqmodels.data import TextPreprocessing
from seqmodels.exporting.answers import Answer
from seqmodels.exporting.model import Model, configured, configured_writer
from seqmodels.exporting.writing import DRAWING, USUAL
from seqmodels.models import LanguageModel
from seqmodels.serving.bodies import named
from seqmodels.serving.limits import Limits
from seqmodels.serving.problems import Problem
from seqmodels.serving.reading import Inputs, examples_of, steps_of
from seqmodels.serving.worker import Worker
from seqmodels.tasks.predictors.predictor import Predictor
from seqmodels.tasks.predictors.texts import TextPredictor
from seqmodels.training.trained import SEARCH

PREDICT_OPTIONS = (*SEARCH, "probabilities")
GENERATE_OPTIONS = (*USUAL, *SEARCH)
SLICE = 0.02  # seconds that a text is written before other requests have their turn
END = object()


class Service:
    """Answers requests with a model, in the thread of a worker.

    Args:
        model: a trained model.
        worker: runs and batches what is asked of it.
        limits: of requests.
    """

    def __init__(self, model: Model, worker: Worker, limits: Limits) -> None:
        self.model = model
        self.worker = worker
        self.limits = limits
        self._usual = configured(model.predictor, {})

    async def predict(self, inputs: Inputs, options: Mapping[str, Any]) -> list[Any]:
        """Return a prediction for each input, as plain data.

        Raises:
            Problem: an input cannot be read, or an option is wrong (422).
        """
        self._check(options)
        with _wrong_request():
            predictor = configured(self.model.predictor, options) if options else self._usual
        return await self._batched(inputs, predictor, ("predict", tuple(sorted(options.items()))))

    def _check(self, options: Mapping[str, Any]) -> None:
        """Raise ``Problem`` for an option that is no plain value, or beyond the limits of the server (422)."""
        beam, generated = self.limits.beam, self.limits.generated
        limits = {"beam": beam, "n_best": beam, "samples": beam, "length": generated, "max_length": generated}
        for name, value in options.items():
            if isinstance(value, list | dict | str):
                raise Problem(422, f"{name} must be a number or true or false, got {named(value)}")
            if value is not None and value > limits.get(name, value):
                raise Problem(422, f"{name} must be at most {limits[name]} on this server, got {value}")

    async def _batched(self, inputs: Inputs, predictor: Predictor, key: Hashable) -> list[Any]:
        work = partial(self._predicted, predictor)
        with _wrong_request():  # the network may refuse it, too: it is too short for a convolution, for instance
            found: list[Any] = await self.worker.do(inputs, work, key, inputs.weight)
        return found

    def _predicted(self, predictor: Predictor, requests: list[Inputs]) -> list[Any]:
        """Return the predictions of each request, or why it gets none; their inputs share batches."""
        read = [self._read(inputs) for inputs in requests]
        examples = [example for each in read if not isinstance(each, Problem) for example in each]
        lengths = [steps_of(example.value) for example in examples]
        found: dict[int, Any] = {}
        for rows in batches_of(lengths, most=self.limits.batch_size, steps=self.limits.length):
            for row, answer in zip(rows, self.model.answered([examples[row] for row in rows], predictor), strict=True):
                found[row] = _plain(predictor, answer)
        numbers = count()
        return [each if isinstance(each, Problem) else [found[next(numbers)] for _ in each] for each in read]

    def _read(self, inputs: Inputs) -> Any:
        try:
            return examples_of(inputs, self.model.preprocessing, self.limits)
        except Problem as problem:
            return problem

    async def outputs(self, source: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a model of pairs writes for a text: the best one, its score, and all that were asked for.

        Raises:
            Problem: the source cannot be read, or an option is wrong (422).
        """
        assert isinstance(self.model.predictor, TextPredictor)
        inputs = Inputs(values=[_text(source)])
        self._check(options)
        with _wrong_request():
            predictor = configured_writer(self.model.predictor, options)
        drawn = any(options.get(name) is not None for name in DRAWING)  # with the random numbers of a batch of its own
        key = None if drawn else ("predict", tuple(sorted(options.items())))
        (prediction,) = await self._batched(inputs, predictor, key)
        return dict(prediction)

    async def generate(self, prompt: Any, options: Mapping[str, Any]) -> AsyncIterator[str]:
        """Return the pieces of a text as a language model writes them after a prompt.

        Raises:
            Problem: it is no language model, the prompt is too long, or an option is wrong (422); raised at once.
        """
        if not isinstance(self.model.module, LanguageModel):
            raise Problem(422, f"the model is no language model but a {type(self.model.module).__name__}")
        self._check(options)
        if options.get("samples") is not None:
            raise Problem(422, "samples is for models of pairs; ask a language model again, with another seed")
        given = {name: value for name, value in options.items() if value is not None}
        given.setdefault("length", min(USUAL["length"], self.limits.generated))
        pieces = await self.worker.do(_text(prompt), partial(self._begun, given))
        return self._written(pieces)

    def _begun(self, options: Mapping[str, Any], prompts: list[str]) -> list[Any]:
        preprocessing = self.model.preprocessing
        assert isinstance(preprocessing, TextPreprocessing)
        (prompt,) = prompts
        tokens = len(preprocessing.prompt(prompt))
        if tokens > self.limits.length:
            raise Problem(422, f"the prompt has {tokens} tokens, the server reads at most {self.limits.length}")
        with _wrong_request():
            return [self.model.stream(prompt, **options)]

    async def _written(self, pieces: Iterator[str]) -> AsyncIterator[str]:
        while True:
            text, ended = await self.worker.do(pieces, _slices)
            if text:
                yield text
            if ended:
                return


def batches_of(lengths: Sequence[int], *, most: int, steps: int) -> Iterator[list[int]]:
    """Yield the numbers of the inputs that a model reads together, those of similar length.

    Args:
        lengths: number of steps of each input.
        most: inputs in a batch.
        steps: in a batch with its padding, if it has more than one input. So no batch needs more memory than one input
            of the largest length that is accepted.

    Example:
        >>> list(batches_of([5, 2, 6, 3], most=3, steps=10))
        [[1, 3], [0], [2]]
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batch and (len(batch) == most or (len(batch) + 1) * lengths[row] > steps):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@contextmanager
def _wrong_request() -> Iterator[None]:
    """Tell the client what is wrong where the model refuses what it asks for."""
    try:
        yield
    except ValueError as error:
        raise Problem(422, str(error)) from error


def _text(prompt: Any) -> str:
    if not isinstance(prompt, str):
        raise Problem(422, f"prompt must be a text, got {named(prompt)}")
    return prompt


def _slices(texts: list[Iterator[str]]) -> list[tuple[str, bool]]:
    return [_slice(pieces) for pieces in texts]


def _slice(pieces: Iterator[str]) -> tuple[str, bool]:
    """Return what is written in a slice of time, and whether the text has ended."""
    found: list[str] = []
    until = time.monotonic() + SLICE
    while time.monotonic() < until:
        piece = next(pieces, END)
        if piece is END:
            return "".join(found), True
        found.append(str(piece))
    return "".join(found), False


def _plain(predictor: Predictor, answer: Answer) -> Any:
    """Return a prediction as plain data, with the names of its fields."""
    prediction = predictor.prediction(answer.records, answer.example.fields)
    return prediction._asdict() if hasattr(prediction, "_asdict") else prediction
