"""What all estimators share: their options, and training by the command line's configuration."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from seqmodels.estimators.running import run
from seqmodels.exporting.model import Model

try:
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
except ImportError as error:
    raise ImportError("estimators need scikit-learn: pip install 'seqmodels[sklearn]'") from error


class Estimator(BaseEstimator):
    """Base of the estimators: an option that is None has the value of ``seqmodels train`` for such data.

    Args:
        cell: name of the cell, as in ``cell=``.
        hidden_size: of the cell.
        depth: number of recurrent layers.
        epochs: passes over the data at most, ``trainer.max_epochs``; training may stop earlier.
        batch_size: sequences, sentences or windows in a batch.
        learning_rate: ``optimizer.lr``.
        seed: of weights, batches and dropout.
        overrides: further options of ``seqmodels train``, such as ``("model.dropout=0.3", "pooling=mean")``.
        run_dir: folder of the run, which the commands read, such as ``seqmodels predict``; by default a temporary one,
            which is deleted after training.
        device: where the trained model computes, as in :func:`seqmodels.load`; training chooses by ``trainer=``.

    Attributes:
        model_: the trained :class:`~seqmodels.exporting.Model`, the best of all epochs by its validation.
        metrics_: the final metrics of training, by name.
    """

    model_: Model
    metrics_: dict[str, float]

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden_size: int | None = None,
        depth: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        seed: int = 1,
        overrides: Sequence[str] = (),
        run_dir: str | PathLike[str] | None = None,
        device: str = "cpu",
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.depth = depth
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.overrides = overrides
        self.run_dir = run_dir
        self.device = device

    def _train(self, write: Callable[[Path], Sequence[str]]) -> None:
        """Train on what ``write`` writes into a folder; it returns the options that read it."""
        options = {
            "cell": self.cell,
            "cell.hidden_size": self.hidden_size,
            "model.depth": self.depth,
            "trainer.max_epochs": self.epochs,
            "data.batch_size": self.batch_size,
            "optimizer.lr": self.learning_rate,
            "seed": self.seed,
        }
        tokens = [f"{name}={value}" for name, value in options.items() if value is not None]
        self.model_, self.metrics_ = run(write, [*tokens, *self.overrides], self.run_dir, self.device)

    def _fitted(self) -> Model:
        """Return the trained model.

        Raises:
            NotFittedError: ``fit`` has not been called.
        """
        if not hasattr(self, "model_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted: call fit first")
        return self.model_
