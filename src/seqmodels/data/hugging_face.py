"""Text of Hugging Face ``datasets``, streamed: no more than a document is in memory."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels.data.corpus import Corpus
from seqmodels.data.language_modeling import LanguageModelingData
from seqmodels.data.module import SPLITS
from seqmodels.data.tokenized import TextSource, tokenized
from seqmodels.data.vocabulary_learning import VocabularyLearner

HELD = 20
"""Of so many documents one validates and one tests, where the data set has no splits for that."""


class HuggingFaceText(LanguageModelingData):
    """Documents of a data set of the Hugging Face hub, or of files that ``datasets`` reads, for language models.

    They are streamed once, to learn the vocabulary and to write tokens into files that are mapped into memory; after
    that neither network nor ``datasets`` is needed, every process reads rows of its own, each epoch has an order of its
    own, and a run can go on anywhere. Tokens take one to four bytes each on disk.

    Args:
        path: of the data set on the hub, ``wikitext``; or a builder of files: ``json``, ``csv``, ``parquet``, ``text``.
        config: name of a configuration of the data set, where it has several.
        revision: branch, tag or commit on the hub. What is tokenised once stays: new data need another revision.
        data_files: files for a builder: a path, or paths by split.
        split, val_split, test_split: which splits are for what. Where the last two are None, every 20th document
            validates, and every 20th after it tests.
        column: has the text.
        max_documents: of each split, for a quick trial.
        vocabulary: learns the vocabulary from the training text.
        vocabulary_documents: so many documents it learns from at most; from all where None.
        cache_dir: where tokens are kept; the user's cache folder where not given.
        others: as in :class:`~seqmodels.data.language_modeling.LanguageModelingData`.
    """

    name = "hf_text"
    citation = "as its page on huggingface.co says"
    license = "as its page on huggingface.co says"

    def __init__(
        self,
        path: str,
        vocabulary: VocabularyLearner,
        *,
        config: str | None = None,
        revision: str | None = None,
        data_files: str | Sequence[str] | Mapping[str, Any] | None = None,
        split: str = "train",
        val_split: str | None = None,
        test_split: str | None = None,
        column: str = "text",
        max_documents: int | None = None,
        vocabulary_documents: int | None = 100_000,
        cache_dir: str | Path | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        bptt: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, bptt=bptt, seed=seed)
        if (val_split is None) != (test_split is None):
            raise ValueError("val_split and test_split must be given together, or neither")
        for name, value in (("max_documents", max_documents), ("vocabulary_documents", vocabulary_documents)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.vocabulary = vocabulary
        self.cache_dir = cache_dir
        where = {"path": path, "name": config, "revision": revision, "data_files": data_files}
        names = dict(zip(SPLITS, (split, val_split, test_split), strict=True))
        self.source = Documents(where, names, column, max_documents, vocabulary_documents)

    def splits(self) -> Mapping[str, Corpus]:
        self.text, corpora = tokenized(self.source, self.vocabulary, self.cache_dir)
        return corpora


class Documents(TextSource):
    """The documents of a data set, streamed.

    Args:
        where: what ``datasets.load_dataset`` is asked for.
        names: its split for each of ours, None where documents are shared out.
        column: has the text.
        most: documents of a split.
        learnt_from: documents that the vocabulary is learnt from at most.
    """

    name = "hf_text"

    def __init__(
        self,
        where: Mapping[str, Any],
        names: Mapping[str, str | None],
        column: str,
        most: int | None,
        learnt_from: int | None,
    ) -> None:
        self.where = {key: value for key, value in where.items() if value is not None}
        self.names = dict(names)
        self.column = column
        self.most = most
        self.learnt_from = learnt_from

    @property
    def origin(self) -> dict[str, Any]:
        stamps = [
            [str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns]
            for given in _paths(self.where.get("data_files"))
            for file in _matching(Path(given).absolute())
        ]
        asked = {"names": self.names, "column": self.column, "most": self.most, "learnt_from": self.learnt_from}
        return {"files": stamps, **self.where, **asked}

    def documents(self, split: str) -> Iterator[Iterator[str]]:
        own = self.names[split]
        place = SPLITS.index(split)
        taken = 0
        for number, text in enumerate(self._stream(own or self.names["train"] or "train")):
            part = {HELD - 2: 1, HELD - 1: 2}.get(number % HELD, 0)
            if not text or (self.names["val"] is None and part != place):
                continue
            yield iter([text])
            taken += 1
            if taken == self.most:
                return

    def _stream(self, split: str) -> Iterator[str]:
        """Yield the texts of a split.

        Raises:
            ImportError: the package ``datasets`` is not there.
            ValueError: there is no such data set, split or column, or what stands there is no text.
        """
        try:
            import datasets  # noqa: PLC0415  (seconds, and an extra)
        except ImportError as error:
            raise ImportError("data=hf_text needs the package datasets: pip install 'seqmodels[hf]'") from error
        try:
            rows = datasets.load_dataset(**self.where, split=split, streaming=True)
            for number, row in enumerate(rows):
                if not isinstance(row.get(self.column), str):
                    raise ValueError(
                        f"split {split}, document {number}: there is no text under column={self.column!r} "
                        f"(there: {', '.join(row)})"
                    )
                yield row[self.column]
        except (datasets.exceptions.DatasetsError, FileNotFoundError, ConnectionError) as error:
            raise ValueError(f"datasets cannot read {json.dumps(self.where)}: {error}") from error


def _paths(given: Any) -> list[str]:
    """Return all paths of ``data_files``; addresses are none."""
    if given is None:
        return []
    values = given.values() if isinstance(given, Mapping) else [given] if isinstance(given, str) else given
    nested = [path for value in values for path in ([value] if isinstance(value, str) else value)]
    return [path for path in nested if "://" not in path]


def _matching(path: Path) -> list[Path]:
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
