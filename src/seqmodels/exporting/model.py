"""A trained model with its preprocessing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.config.signatures import checked_seed
from seqmodels.data import Preprocessing, TextPreprocessing
from seqmodels.data.audio.preprocessing import RecordingPreprocessing
from seqmodels.data.formats.records import Record
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.preprocessing import Example
from seqmodels.errors import ConfigError, Refused, nearest
from seqmodels.exporting.answers import Answer
from seqmodels.exporting.inputs import records_of
from seqmodels.exporting.stepping import checked_step, refuses_steps, stepped
from seqmodels.exporting.writing import DRAWING, USUAL, drawing_of, sampling_of, several, streamed
from seqmodels.models import LanguageModel
from seqmodels.tasks.predictors.predictor import Predictor, on_device
from seqmodels.tasks.predictors.texts import TextPredictor
from seqmodels.tasks.predictors.tokens import TagPredictor
from seqmodels.training.trained import SEARCH, Recipe, preprocessing_of, set_search


class Step(NamedTuple):
    """What a model says after one more step."""

    output: Tensor
    """``(batch, output)``, see :meth:`Model.step`."""
    state: Any
    """What the next step starts from: a tuple with the state of each layer, of tensors ``(batch, ...)``."""


class Model:
    """A trained model, as :func:`seqmodels.load` returns it; see ``docs/python.md`` for what each task predicts.

    Args:
        predictor: the network, and what turns its outputs into predictions.
        recipe: what it was built from, and what is known of its data.
        preprocessing: reads new data as in training; None if the data set has none.
        device: where the network computes.

    Example:
        >>> import seqmodels
        >>> model = seqmodels.load("logs/classification/gru/model")  # doctest: +SKIP
        >>> model.predict(["a fine film", "never again"])  # doctest: +SKIP
        [ClassPrediction(label='pos', probabilities={'neg': 0.02, 'pos': 0.98}), ...]
    """

    def __init__(
        self, predictor: Predictor, recipe: Recipe, preprocessing: Preprocessing | None, device: torch.device
    ) -> None:
        self.predictor = predictor
        self.recipe = recipe
        self.device = device
        self._preprocessing = preprocessing
        self.module.to(device).eval()

    @property
    def module(self) -> nn.Module:
        """The network, in evaluation mode."""
        return self.predictor.model

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, labels or tags by index; empty if the task has none."""
        return tuple(self.recipe.get("class_names") or ())

    @property
    def preprocessing(self) -> Preprocessing:
        """What turns new data into inputs, as fitted on the training data.

        Raises:
            ConfigError: the data set of the model has none.
        """
        return preprocessing_of(self.recipe) if self._preprocessing is None else self._preprocessing

    def predict(
        self, data: Any, *, batch_size: int = 64, strict: bool = True, format: str | None = None, **options: Any
    ) -> list[Any]:
        """Predict for data of any number, mixed lengths included, in their order.

        Args:
            data: path of a file or folder, read as in training; a DataFrame with the columns of a file; or a list of
                texts, arrays ``(time, channels)`` in the unit of the data, or records as dicts.
            batch_size: how many are read at a time; predictions do not depend on it.
            strict: whether what cannot be read is an error; otherwise its prediction is None.
            format: of a file, if its name does not tell, as in ``seqmodels predict``.
            options: of models that write texts, ``beam``, ``n_best``, ``length_penalty``, ``coverage_penalty`` and
                ``max_length``; of taggers, ``probabilities``; as in ``seqmodels predict``.

        Returns:
            A prediction for each text, array, record or row; of forecasts, for each group of a table. By task a
            :class:`ClassPrediction`, :class:`LabelsPrediction`, :class:`ValuesPrediction`, :class:`Forecast`,
            :class:`TextPrediction`, :class:`TagPrediction` or :class:`TextScore`.

        Raises:
            TypeError: the model does not read data of this kind.
            ValueError: something cannot be read, the message has its place; or an option is wrong.
        """
        found = []
        for answer in self.answers(records_of(data, self.preprocessing, format), batch_size=batch_size, **options):
            example = answer.example
            if example.value is None and strict:
                raise ValueError(example.error)
            found.append(self.predictor.prediction(answer.records, example.fields) if answer.records else None)
        return found

    def answers(self, records: Iterable[Record], *, batch_size: int = 64, **options: Any) -> Iterator[Answer]:
        """Yield what is predicted for records in their order, computed batch by batch as they arrive.

        Args:
            records: as :meth:`~seqmodels.data.Preprocessing.read` yields them.
            batch_size, options: as in :meth:`predict`; checked at once.

        Raises:
            ConfigError: an option is wrong.
        """
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ConfigError(f"batch_size must be a positive whole number, got {batch_size!r}")
        return self._answers(configured(self.predictor, options), records, batch_size)

    def _answers(self, predictor: Predictor, records: Iterable[Record], batch_size: int) -> Iterator[Answer]:
        examples = self.preprocessing.examples(records)
        while chunk := list(islice(examples, batch_size)):
            yield from self.answered(chunk, predictor)

    def answered(self, examples: Sequence[Example], predictor: Predictor) -> list[Answer]:
        """Return what is predicted for examples of one batch, by the predictor that :func:`configured` returns."""
        values = [example.value for example in examples if example.value is not None]
        found: Iterator[list[dict[str, Any]]] = iter(())
        if values:
            with torch.inference_mode():
                batch = on_device(self.preprocessing.collate(values), self.device)
                found = iter(predictor.records(batch, self.class_names))
        return [Answer(example, next(found) if example.value is not None else []) for example in examples]

    def generate(self, prompt: str = "", **options: Any) -> str:
        """Return a prompt with what a language model writes after it, or the text that another model writes for it.

        Args:
            prompt: the beginning; an empty one starts a new text.
            options: ``length=500`` tokens at most, ``temperature=0.8``, ``top_k=None``, ``top_p=None`` and ``seed=1``,
                as in ``seqmodels generate``; of a model of pairs, those of :func:`configured_writer`.

        Raises:
            ConfigError: an option is wrong, or the model writes no texts.
        """
        if isinstance(self.predictor, TextPredictor):
            model = copy(self)
            model.predictor = configured_writer(self.predictor, options)
            text: str = model.predict([prompt])[0].text
            return text
        return prompt + "".join(self.stream(prompt, **options))

    def stream(self, prompt: str = "", **options: Any) -> Iterator[str]:
        """Yield what a language model writes after a prompt, piece by piece; options as in :meth:`generate`.

        Raises:
            ConfigError: an option is wrong, or the model is no language model; raised at once.
        """
        if "samples" in options:
            raise ConfigError("a stream is one text: Model.samples writes several")
        model, text, given = self._writer(options)
        return streamed(model, text, prompt, **given)

    def samples(self, prompt: str = "", *, number: int, **options: Any) -> list[str]:
        """Return several texts that begin with a prompt, written in one batch; options as in :meth:`generate`.

        Raises:
            ConfigError: an option is wrong, or the model is no language model.
        """
        model, text, given = self._writer({**options, "samples": number})
        return [prompt + written for written in several(model, text, prompt, number=number, **given)]

    def _writer(self, options: Mapping[str, Any]) -> tuple[LanguageModel, TextPreprocessing, dict[str, Any]]:
        if not isinstance(self.module, LanguageModel):
            raise ConfigError(f"the model is no language model but a {type(self.module).__name__}")
        if unknown := [name for name in options if name not in USUAL]:
            raise ConfigError(f"generating has no option {unknown[0]!r} (it has: {', '.join(USUAL)})")
        given = {**USUAL, **options}
        text = self.preprocessing
        assert isinstance(text, TextPreprocessing)
        chosen = {"sampling": sampling_of(given), "length": given["length"], "seed": checked_seed(given["seed"])}
        return self.module, text, chosen

    @torch.inference_mode()
    def step(self, x: Any, state: Any = None) -> Step:
        """Read one step of each of several sequences, for data that arrive step by step.

        Args:
            x: numbers ``(batch, channels)`` in the unit of the data; of recordings, the features of a frame; of texts
                and language models, tokens ``(batch,)`` of ``preprocessing.vocabulary``.
            state: that of the last step; None at the start.

        Returns:
            The output, and the state. The output is what the model says of the sequence up to this step: probabilities
            of classes or labels, values in the unit of the data, log-probabilities of the units of a transcript, or of
            the next token.

        Raises:
            Refused: the model cannot advance one step at a time; the message says why.
            ValueError: ``x`` has another shape.
        """
        if (reason := refuses_steps(self.module)) is not None:
            raise Refused(f"the model cannot advance one step at a time: {reason}")
        output, state = stepped(self.module, self._step_input(x), state)
        return Step(self.predictor.of_step(output), state)

    def step_inputs(self) -> tuple[bool, int]:
        """Return whether a step reads tokens, and how many there are of these or of the features that it reads else."""
        embedding: Any = getattr(self.module, "embedding", None)
        if embedding is not None:
            return True, embedding.num_embeddings
        scaling: Any = getattr(self._preprocessing, "scaling", None)
        return False, self.recipe["sizes"]["input_size"] if scaling is None else len(scaling.mean)

    def _step_input(self, x: Any) -> Tensor:
        tokens, size = self.step_inputs()
        given = checked_step(x, tokens=tokens, size=size, device=self.device)
        if tokens:
            return given
        if isinstance(self._preprocessing, LabelledPreprocessing | RecordingPreprocessing):
            given = self._preprocessing.scaled(given.double())
        return given.float().to(self.device)


def configured(predictor: Predictor, options: Mapping[str, Any]) -> Predictor:
    """Return a predictor with the options of a call, where they are not None: of its search, or of a tagger.

    Raises:
        ConfigError: it has no such option, or a value is outside its range.
    """
    known = (*SEARCH, "probabilities")
    for name in options:
        if name not in known:
            raise ConfigError(f"there is no option {name!r}{nearest(name, known)} (there are: {', '.join(known)})")
    given = {name: value for name, value in options.items() if value is not None}
    wanted = given.pop("probabilities", False)
    chosen = copy(predictor)
    set_search(chosen, given)
    if not isinstance(wanted, bool):
        raise ConfigError(f"probabilities must be true or false, got {wanted!r}")
    if wanted and not isinstance(chosen, TagPredictor):
        raise ConfigError("probabilities= is for taggers (task=tagging); classifiers write them anyway")
    if isinstance(chosen, TagPredictor):
        chosen.probabilities = wanted
    return chosen


def configured_writer(predictor: TextPredictor, options: Mapping[str, Any]) -> TextPredictor:
    """Return the predictor of a model of pairs with the options of generating, where they are not None.

    Args:
        predictor: as trained.
        options: ``beam``, ``n_best``, ``length_penalty``, ``coverage_penalty`` and ``max_length`` of its search; or
            ``temperature``, ``top_k``, ``top_p``, ``samples``, ``seed`` and ``max_length``, by which outputs are drawn.

    Raises:
        ConfigError: there is no such option, a value is outside its range, or it is asked to search and to draw.
    """
    known = (*SEARCH, *DRAWING, "seed")
    given = {name: value for name, value in options.items() if value is not None}
    if "length" in given:
        raise ConfigError("length= is for language models; max_length= limits the outputs of this one")
    if unknown := next((name for name in given if name not in known), None):
        raise ConfigError(f"generating has no option {unknown!r}{nearest(unknown, known)} (it has: {', '.join(known)})")
    chosen = configured(predictor, {name: given[name] for name in SEARCH if name in given})
    assert isinstance(chosen, TextPredictor)
    if any(name in given for name in DRAWING):
        chosen.search = drawing_of(given, chosen.search)
    return chosen
