"""Labelled texts in a table of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from seqmodels.data.batch import TargetKind
from seqmodels.data.delimited import Delimited, listed, read_table
from seqmodels.data.labelled_text import Empty, LabelledTexts
from seqmodels.data.own_text import OwnTextData
from seqmodels.data.vocabulary_learning import VocabularyLearner


class OwnTableData(OwnTextData):
    """The texts and labels of a table, CSV or TSV, plain or ``.gz``.

    Args:
        path: of the table; other options as in :class:`OwnTextData`.
        text: the column of the text, by its name, or by its number from 0 where there is no header; several are joined
            by a space.
        label: the column of the label or labels.
        header: whether the first line has the names of the columns.
        delimiter: between columns; where None a tab if the name ends in ``.tsv``, else a comma.
        quotes: whether a field in double quotes may hold delimiters, line ends and doubled quotes.
    """

    separator: str | None = None  # between the labels of a row, where it may have several

    def __init__(
        self,
        path: str | Path,
        *,
        vocabulary: VocabularyLearner,
        text: str | int | Sequence[str | int] = "text",
        label: str | int = "label",
        header: bool = True,
        delimiter: str | None = None,
        quotes: bool = True,
        val_path: str | Path | None = None,
        test_path: str | Path | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        encoding: str = "utf-8",
        max_length: int | None = None,
        empty: Empty = "error",
        data_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = True,
    ) -> None:
        super().__init__(
            path,
            vocabulary=vocabulary,
            val_path=val_path,
            test_path=test_path,
            val_share=val_share,
            test_share=test_share,
            encoding=encoding,
            max_length=max_length,
            empty=empty,
            data_seed=data_seed,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            bucketing=bucketing,
        )
        if delimiter is not None and len(delimiter) != 1:
            raise ValueError(f"delimiter must be a single character, got {delimiter!r}")
        self.text, self.label = text, label
        self.form = Delimited(delimiter=delimiter, header=header, quotes=quotes, encoding=encoding)
        if header:
            self.field = text if isinstance(text, str) else [str(column) for column in listed(text)]

    def table(self, path: Path) -> LabelledTexts:
        return read_table(path, self.text, self.label, self.form, separator=self.separator)


class TextCSVData(OwnTableData):
    """A table of texts with a class each; options as for all tables."""

    name = "text_csv"


class TextCSVMultilabelData(OwnTableData):
    """A table of texts with any number of labels each, in one column; options as for all tables, and one more.

    Args:
        separator: between the labels of a row.
    """

    name = "text_csv_multilabel"
    target_kind: ClassVar[TargetKind] = "multilabel"

    def __init__(
        self,
        path: str | Path,
        *,
        vocabulary: VocabularyLearner,
        text: str | int | Sequence[str | int] = "text",
        label: str | int = "labels",
        separator: str = ";",
        header: bool = True,
        delimiter: str | None = None,
        quotes: bool = True,
        val_path: str | Path | None = None,
        test_path: str | Path | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        encoding: str = "utf-8",
        max_length: int | None = None,
        empty: Empty = "error",
        data_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = True,
    ) -> None:
        super().__init__(
            path,
            vocabulary=vocabulary,
            text=text,
            label=label,
            header=header,
            delimiter=delimiter,
            quotes=quotes,
            val_path=val_path,
            test_path=test_path,
            val_share=val_share,
            test_share=test_share,
            encoding=encoding,
            max_length=max_length,
            empty=empty,
            data_seed=data_seed,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            bucketing=bucketing,
        )
        if not separator:
            raise ValueError("separator must be at least one character, got none")
        self.separator = separator
