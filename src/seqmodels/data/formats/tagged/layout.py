"""How a file of tagged sentences is written."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from seqmodels.data.formats.files import opened, shown_name, unpacked_stream
from seqmodels.data.formats.records import Record, read_records
from seqmodels.data.formats.strict_text import check_encoding, decoded_lines
from seqmodels.data.formats.suffixes import suffix_of
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.formats.tagged.columns import read_columns
from seqmodels.data.formats.tagged.conllu import TAGS, read_conllu

TagFormat = Literal["conllu", "columns", "jsonl"]
SUFFIXES: dict[str, TagFormat] = {
    ".conllu": "conllu",
    ".conll": "columns",
    ".bio": "columns",
    ".iob": "columns",
    ".iob2": "columns",
    ".bioes": "columns",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class TagLayout(NamedTuple):
    """How a file of tagged sentences is written, as plain JSON.

    Example:
        >>> TagLayout.of("eng.train").format, TagLayout.of("en.conllu.gz").tag
        ('columns', 'upos')
    """

    format: TagFormat
    tag: int | str  # column or field of the tags
    token: int = 0  # column of the tokens, of a file of columns
    delimiter: str | None = None  # of a file of columns
    encoding: str = "utf-8"
    suffix: str = ""  # of the file

    @classmethod
    def of(
        cls,
        path: str,
        format: str | None = None,
        *,
        tag: int | str | None = None,
        token: int = 0,
        delimiter: str | None = None,
        encoding: str = "utf-8",
    ) -> "TagLayout":
        """Return the layout of a file, its format by its suffix unless given: without a known one, columns.

        Raises:
            ValueError: an option is unknown, or does not suit the format.
        """
        if format is not None and format not in get_args(TagFormat):
            raise ValueError(f"format must be one of {', '.join(get_args(TagFormat))}, got {format!r}")
        kind: TagFormat = format or SUFFIXES.get(suffix_of(path), "columns")  # type: ignore[assignment]
        usual: dict[TagFormat, int | str] = {"conllu": "upos", "columns": -1, "jsonl": "tags"}
        chosen = usual[kind] if tag is None else tag
        if kind == "conllu" and chosen not in TAGS:
            raise ValueError(f"{path}: tag must be a column of CoNLL-U, {', '.join(TAGS)}, got {tag!r}")
        if kind == "columns" and (not isinstance(chosen, int) or isinstance(chosen, bool)):
            raise ValueError(f"{path}: tag must be the number of a column, from 0, -1 for the last, got {tag!r}")
        check_encoding(encoding)
        delimiter = {"": None, "\\t": "\t"}.get(delimiter or "", delimiter)  # as a shell hands over a tab
        return cls(kind, chosen, token, delimiter, encoding, suffix_of(path))

    def read(self, path: str) -> Iterator[Record]:
        """Yield the sentences of a file, or of standard input for ``-``, with fields ``tokens`` and ``tags``.

        Raises:
            ValueError: the file is missing, not in its encoding or damaged.
        """
        name = shown_name(path)
        with opened(path) as source:
            if self.format == "jsonl":
                for place, fields, error in read_records(source, name, "jsonl", CSVDialect(encoding=self.encoding)):
                    tags = {"tags": fields[str(self.tag)]} if str(self.tag) in fields else {}
                    yield Record(place, {**fields, **tags}, error)
                return
            lines = decoded_lines(unpacked_stream(source, name), name, self.encoding)
            if self.format == "conllu":
                yield from read_conllu(lines, name, str(self.tag))
                return
            yield from read_columns(lines, name, token=self.token, tag=int(self.tag), delimiter=self.delimiter)
