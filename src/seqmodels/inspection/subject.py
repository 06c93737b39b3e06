"""A trained model to look into, with its data."""

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from seqmodels.config.build import plain
from seqmodels.data import DataModule, Loading, Preprocessing
from seqmodels.data.loaders import Split
from seqmodels.data.statistics.rows import vocabulary_of
from seqmodels.data.text.vocabulary import Vocabulary
from seqmodels.errors import ConfigError
from seqmodels.tasks import Task
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.evaluation import data_of_run
from seqmodels.training.finding import weights_of
from seqmodels.training.trained import Recipe, preprocessing_of

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Subject:
    """A trained model, in evaluation mode on the CPU, and what is known about its training."""

    task: Task[Any]
    recipe: Recipe
    folder: Path | None
    """Folder of the run; None for a checkpoint or model folder from elsewhere."""

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What reads new files for the model.

        Raises:
            ConfigError: its data set has no such thing.
        """
        return preprocessing_of(self.recipe)

    @property
    def known_preprocessing(self) -> Preprocessing | None:
        """:attr:`preprocessing`, or None if the data set has none."""
        return self.preprocessing if self.recipe.get("preprocessing") else None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the inputs; None if they are numbers, or nothing is known of them."""
        return vocabulary_of(self.known_preprocessing)

    @cached_property
    def data(self) -> DataModule:
        """The data of the run.

        Raises:
            ConfigError: they are missing, or have changed since training.
        """
        parts = {"data": plain(DictConfig(self.recipe["config"]).data), "augmentation": None}
        return data_of_run(parts, self.recipe)

    def split(self, name: str) -> Split[Any]:
        """Return the split ``train``, ``val`` or ``test`` of the data of the run.

        Raises:
            ConfigError: there is no such split, or the data have changed since training.
        """
        if name not in SPLITS:
            raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {name!r}")
        try:
            split: Split[Any] = self.data.split(name)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return split


def subject_of(config: DictConfig) -> Subject:
    """Return the model that ``run=`` and ``ckpt=`` name.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path = weights_of(str(config.run), config.ckpt)
    task, recipe = load_trained(path)
    above = path.parents[1] if path.is_file() else path.parent
    return Subject(task, recipe, above if (above / "config.yaml").is_file() else None)


@dataclass(frozen=True)
class Rows:
    """The rows to look at: the first of the file ``input=``, or of a split of the data of the run; read when needed."""

    subject: Subject
    config: DictConfig

    @property
    def batch(self) -> Any:
        """The rows as a batch of the task.

        Raises:
            ConfigError: an option is wrong.
            ValueError: the file cannot be read, or holds no record that can be; the message names file and line.
        """
        return self._read[0]

    @property
    def labelled(self) -> bool:
        """Whether the targets of :attr:`batch` are known: a file may have none."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[Any, bool]:
        subject, config = self.subject, self.config
        if not isinstance(config.rows, int) or isinstance(config.rows, bool) or config.rows < 1:
            raise ConfigError(f"rows must be a positive whole number, got {config.rows!r}")
        if config.input is None:
            return _first(subject.split(config.split), config.split, config.rows), True
        preprocessing, names = subject.preprocessing, subject.recipe["class_names"]
        try:
            records = islice(preprocessing.read(config.input, config.format), config.rows)
            return _first(preprocessing.labelled(records, names), "test", config.rows), True
        except ValueError:
            return _unlabelled(preprocessing, config), False


def _first(split: Split[Any], name: str, rows: int) -> Any:
    """Return the first batch of a split, in its own order."""
    return next(iter(split.loader(name, Loading(batch_size=rows, eval_batch_size=rows))))


def _unlabelled(preprocessing: Preprocessing, config: DictConfig) -> Any:
    records = preprocessing.read(config.input, config.format)
    examples = list(islice(preprocessing.examples(records), config.rows))
    values = [example.value for example in examples if example.value is not None]
    if not values:
        why = examples[0].error if examples else "it holds no record"
        raise ValueError(f"input={config.input} cannot be read: {why}")
    return preprocessing.collate(values)
