"""What a server does with its model: predictions and generated texts; sessions are in ``stepping``."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any

from seqmodels.data import TextPreprocessing
from seqmodels.exporting.answers import Answer
from seqmodels.exporting.model import Model, configured
from seqmodels.models import LanguageModel
from seqmodels.serving.bodies import named
from seqmodels.serving.limits import Limits
from seqmodels.serving.problems import Problem
from seqmodels.serving.reading import Inputs, examples_of
from seqmodels.serving.worker import Worker
from seqmodels.tasks.predictors.predictor import Predictor
from seqmodels.tasks.predictors.texts import TextPredictor
from seqmodels.training.trained import SEARCH

PREDICT_OPTIONS = (*SEARCH, "probabilities")
GENERATE_OPTIONS = ("length", "temperature", "top_k", "top_p", "seed")
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

    async def predict(self, inputs: Inputs, options: Mapping[str, Any]) -> list[Any]:
        """Return a prediction for each input, as plain data.

        Raises:
            Problem: an input cannot be read, or an option is wrong (422).
        """
        predictor = self._predictor(options)
        key = ("predict", tuple(sorted(options.items())))
        work = partial(self._predicted, predictor)
        try:
            found: list[Any] = await self.worker.do(inputs, work, key, inputs.weight)
        except ValueError as error:  # the network cannot read it: it is too short for a convolution, for instance
            raise Problem(422, str(error)) from error
        return found

    def _predictor(self, options: Mapping[str, Any]) -> Predictor:
        for name, most in (
            ("beam", self.limits.beam),
            ("n_best", self.limits.beam),
            ("max_length", self.limits.generated),
        ):
            self._at_most(options, name, most)
        for name, value in options.items():
            if isinstance(value, list | dict | str):
                raise Problem(422, f"{name} must be a number or true or false, got {named(value)}")
        try:
            return configured(self.model.predictor, options)
        except ValueError as error:
            raise Problem(422, str(error)) from error

    def _predicted(self, predictor: Predictor, requests: list[Inputs]) -> list[Any]:
        """Return the predictions of each request, or why it gets none; their inputs share batches."""
        read = [self._read(inputs) for inputs in requests]
        examples = [example for each in read if not isinstance(each, Problem) for example in each]
        size = self.limits.batch_size
        answers: Iterator[Answer] = (
            answer
            for first in range(0, len(examples), size)
            for answer in self.model.answered(examples[first : first + size], predictor)
        )
        return [
            each if isinstance(each, Problem) else [_plain(predictor, next(answers)) for _ in each] for each in read
        ]

    def _read(self, inputs: Inputs) -> Any:
        try:
            return examples_of(inputs, self.model.preprocessing, self.limits)
        except Problem as problem:
            return problem

    async def generate(self, prompt: Any, options: Mapping[str, Any]) -> AsyncIterator[str]:
        """Return the pieces of a text as they are written: what follows a prompt, or the text for it.

        Raises:
            Problem: the model writes no texts, the prompt is too long, or an option is wrong (422); raised at once.
        """
        if not isinstance(prompt, str):
            raise Problem(422, f"prompt must be a text, got {named(prompt)}")
        if isinstance(self.model.predictor, TextPredictor):
            (prediction,) = await self.predict(Inputs(values=[prompt]), options)
            return _one(prediction["text"])
        if not isinstance(self.model.module, LanguageModel):
            raise Problem(422, f"the model is no language model but a {type(self.model.module).__name__}")
        self._at_most(options, "length", self.limits.generated)
        given = {"length": min(500, self.limits.generated), **options}
        pieces = await self.worker.do(prompt, partial(self._begun, given))
        return self._written(pieces)

    def _begun(self, options: Mapping[str, Any], prompts: list[str]) -> list[Any]:
        preprocessing = self.model.preprocessing
        assert isinstance(preprocessing, TextPreprocessing)
        (prompt,) = prompts
        tokens = len(preprocessing.prompt(prompt))
        if tokens > self.limits.length:
            raise Problem(422, f"the prompt has {tokens} tokens, the server reads at most {self.limits.length}")
        try:
            return [self.model.stream(prompt, **options)]
        except (ValueError, TypeError) as error:
            raise Problem(422, str(error)) from error

    async def _written(self, pieces: Iterator[str]) -> AsyncIterator[str]:
        while True:
            text, ended = await self.worker.do(pieces, _slices)
            if text:
                yield text
            if ended:
                return

    @staticmethod
    def _at_most(options: Mapping[str, Any], name: str, most: int) -> None:
        value = options.get(name)
        if isinstance(value, int | float) and value > most:
            raise Problem(422, f"{name} must be at most {most} on this server, got {value}")


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


async def _one(text: str) -> AsyncIterator[str]:
    yield text


def _plain(predictor: Predictor, answer: Answer) -> Any:
    """Return a prediction as plain data, with the names of its fields."""
    prediction = predictor.prediction(answer.records, answer.example.fields)
    return prediction._asdict() if hasattr(prediction, "_asdict") else prediction
