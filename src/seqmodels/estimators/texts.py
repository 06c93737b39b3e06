"""Language models, taggers and models that write a text for a text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from seqmodels.estimators.base import Estimator
from seqmodels.estimators.inputs import check_rows, write_lines
from seqmodels.estimators.labelled import WHOLE
from seqmodels.system.durable import write_text


class LanguageModel(Estimator):
    """Predicts the next token of a text, as ``seqmodels train data=text`` does.

    The data of validation and test are 5 % of the texts each, as there. For the options see
    :class:`~seqmodels.estimators.base.Estimator`; ``overrides=("vocabulary=word",)`` reads words instead of characters.

    Example:
        >>> LanguageModel(hidden_size=128).fit(texts).generate("Once ")  # doctest: +SKIP
    """

    def fit(self, texts: str | Sequence[str], y: None = None) -> Self:  # noqa: ARG002  (of scikit-learn's interface)
        """Train a model on one long text, or on documents.

        Returns:
            Itself.

        Raises:
            TypeError: ``texts`` are none.
        """
        if not isinstance(texts, str):
            _check_texts(texts, "texts")

        def write(folder: Path) -> Sequence[str]:
            path = folder / ("train.txt" if isinstance(texts, str) else "train.jsonl")
            if isinstance(texts, str):
                write_text(path, texts)
            else:
                write_lines(path, [{"text": text} for text in texts])
            return ["data=text", f"data.path={path}", f"data.cache_dir={folder / 'tokens'}", "test=false"]

        self._train(write)
        return self

    def generate(self, prompt: str = "", **options: Any) -> str:
        """Return a prompt and what the model writes after it; options of :meth:`seqmodels.exporting.Model.generate`."""
        return self._fitted().generate(prompt, **options)

    def score(self, texts: Sequence[str], y: None = None) -> float:  # noqa: ARG002
        """Return the mean log-probability of a token of texts, in nats; greater is better."""
        _check_texts(texts, "texts")
        scores = self._fitted().predict(list(texts))
        total: float = sum(score.loss * score.tokens for score in scores)
        return -total / sum(score.tokens for score in scores)


class Tagger(Estimator):
    """Gives each token of a sentence a tag, as ``seqmodels train data=tags`` does.

    A tenth of the sentences validates the others. For the options see :class:`~seqmodels.estimators.base.Estimator`.

    Example:
        >>> Tagger(epochs=5).fit([["Ada", "wrote"]], [["B-PER", "O"]])  # doctest: +SKIP
    """

    def fit(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> Self:
        """Train a model on lists of tokens, and of their tags.

        Returns:
            Itself.

        Raises:
            ValueError: there are not as many tags as tokens; the message names the row.
        """
        check_rows(X=X, y=y)
        for row, (tokens, tags) in enumerate(zip(X, y, strict=True)):
            if len(tokens) != len(tags):
                raise ValueError(f"row {row} has {len(tokens)} tokens and {len(tags)} tags")

        def write(folder: Path) -> Sequence[str]:
            rows = zip(X, y, strict=True)
            write_lines(
                path := folder / "train.jsonl",
                [{"tokens": list(tokens), "tags": list(tags)} for tokens, tags in rows],
            )
            return ["data=tags", f"data.path={path}", *WHOLE]

        self._train(write)
        return self

    def predict(self, X: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the tags of each list of tokens."""
        return [prediction.tags for prediction in self._fitted().predict([list(tokens) for tokens in X])]

    def score(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> float:
        """Return the share of tokens whose tag is right."""
        pairs = [pair for found, tags in zip(self.predict(X), y, strict=True) for pair in zip(found, tags, strict=True)]
        return sum(found == tag for found, tag in pairs) / len(pairs)


class Translator(Estimator):
    """Writes a text for a text, as ``seqmodels train data=text_pairs`` does.

    A tenth of the pairs validates the others. For the options see :class:`~seqmodels.estimators.base.Estimator`.

    Example:
        >>> Translator(epochs=5).fit(["eins", "zwei"], ["one", "two"])  # doctest: +SKIP
    """

    def fit(self, X: Sequence[str], y: Sequence[str]) -> Self:
        """Train a model on sources, and the text to write for each.

        Returns:
            Itself.

        Raises:
            TypeError, ValueError: the message names what is wrong, with its row.
        """
        check_rows(X=X, y=y)
        _check_texts(X, "X")
        _check_texts(y, "y")

        def write(folder: Path) -> Sequence[str]:
            pairs = [{"source": source, "target": target} for source, target in zip(X, y, strict=True)]
            write_lines(path := folder / "train.jsonl", pairs)
            return ["data=text_pairs", f"data.path={path}", *WHOLE]

        self._train(write)
        return self

    def predict(self, X: Sequence[str], **options: Any) -> list[str]:
        """Return the text for each source; options of the search as of :meth:`seqmodels.exporting.Model.predict`."""
        _check_texts(X, "X")
        return [prediction.text for prediction in self._fitted().predict(list(X), **options)]

    def score(self, X: Sequence[str], y: Sequence[str]) -> float:
        """Return the share of texts that are written exactly."""
        return sum(found == text for found, text in zip(self.predict(X), y, strict=True)) / len(y)


def _check_texts(texts: Any, name: str) -> None:
    if isinstance(texts, str) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{name} must be a list of texts, got {type(texts).__name__}")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"row {row} of {name} must be a text, got {type(text).__name__}")
