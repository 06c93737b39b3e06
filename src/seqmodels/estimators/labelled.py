"""Classes and numbers of texts and series."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqmodels.estimators.base import Estimator
from seqmodels.estimators.inputs import check_rows, sequences_of, write_series, write_texts

try:
    from sklearn.base import ClassifierMixin, RegressorMixin
except ImportError as error:
    raise ImportError("estimators need scikit-learn: pip install 'seqmodels[sklearn]'") from error

WHOLE = ("data.test_share=0", "test=false")  # what is held out is for the caller to test on


class Classifier(ClassifierMixin, Estimator):
    """Classifies texts or series, as ``seqmodels train data=text_csv`` and ``data=csv_sequences`` do.

    A tenth of the rows, stratified by class, validates the others. For the options see
    :class:`~seqmodels.estimators.base.Estimator`.

    Attributes:
        classes_: the classes, sorted.

    Example:
        >>> from sklearn.base import clone
        >>> clone(Classifier(cell="gru", hidden_size=64)).get_params()["hidden_size"]
        64
        >>> model = Classifier(cell="gru").fit(["good film", ...], ["pos", ...])  # doctest: +SKIP
        >>> model.predict(["a fine film"])  # doctest: +SKIP
        array(['pos'], dtype='<U3')
    """

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any) -> Self:
        """Train a model.

        Args:
            X: a list of texts; a list of arrays ``(time, channels)`` or ``(time,)``, which may differ in length; an
                array ``(rows, time, channels)`` or ``(rows, time)``; or a DataFrame with one such column.
            y: the class of each row, ``(rows,)``: names or whole numbers.

        Returns:
            Itself.

        Raises:
            TypeError, ValueError: the message names what is wrong, with its row.
        """
        rows, targets = sequences_of(X), np.asarray(y)
        check_rows(X=rows, y=targets)
        if targets.ndim != 1:
            raise ValueError(f"y must have shape (rows,), a class each, got {targets.shape}")
        self.classes_ = np.unique(targets)
        names = [str(name) for name in targets.tolist()]

        def write(folder: Path) -> Sequence[str]:
            if isinstance(rows[0], str):
                write_texts(path := folder / "train.csv", rows, names)
                return ["data=text_csv", f"data.path={path}", *WHOLE]
            write_series(path := folder / "train.jsonl", rows, [{"label": name} for name in names])
            return ["data=csv_sequences", f"data.path={path}", *WHOLE]

        self._train(write)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row of ``X``, ``(rows,)``."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of :attr:`classes_` for each row of ``X``, ``(rows, classes)``."""
        predictions = self._fitted().predict(sequences_of(X))
        names = [str(name) for name in self.classes_.tolist()]
        return np.array([[prediction.probabilities[name] for name in names] for prediction in predictions])


class Regressor(RegressorMixin, Estimator):
    """Predicts numbers of texts or series, as ``seqmodels train data=csv_sequences_regression`` does.

    A tenth of the rows validates the others. For the options see :class:`~seqmodels.estimators.base.Estimator`.

    Example:
        >>> Regressor(cell="gru", depth=2).set_params(depth=3).depth
        3
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train a model.

        Args:
            X: as of :meth:`Classifier.fit`.
            y: numbers ``(rows,)``; of series also several each, ``(rows, outputs)``.

        Returns:
            Itself.

        Raises:
            TypeError, ValueError: the message names what is wrong, with its row.
        """
        rows, targets = sequences_of(X), np.asarray(y, dtype=np.float64)
        check_rows(X=rows, y=targets)
        self._flat = targets.ndim == 1
        if targets.ndim not in (1, 2) or (isinstance(rows[0], str) and not self._flat):
            raise ValueError(f"y must have shape (rows,), or of series (rows, outputs), got {targets.shape}")
        table = targets[:, None] if self._flat else targets
        names = [f"y{number}" for number in range(table.shape[1])]

        def write(folder: Path) -> Sequence[str]:
            if isinstance(rows[0], str):
                write_texts(path := folder / "train.csv", rows, table[:, 0].tolist())
                return ["data=text_csv_regression", f"data.path={path}", *WHOLE]
            numbers = [dict(zip(names, row, strict=True)) for row in table.tolist()]
            write_series(path := folder / "train.jsonl", rows, numbers)
            target = f"data.target=[{','.join(names)}]"
            return ["data=csv_sequences_regression", f"data.path={path}", target, *WHOLE]

        self._train(write)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers of each row of ``X``, in the shape of ``y``."""
        predictions = self._fitted().predict(sequences_of(X))
        values = [prediction.values for prediction in predictions]
        found = np.array([list(value.values()) if isinstance(value, dict) else value for value in values])
        return found[:, 0] if self._flat else found
