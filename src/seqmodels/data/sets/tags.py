"""Sentences with a tag for each token from your own files: columns, CoNLL-U or JSON lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.tagged.layout import TagFormat, TagLayout
from seqmodels.data.own_files import OwnFiles
from seqmodels.data.tagging.preparation import TagPreparation
from seqmodels.data.tagging.sentences import TaggedSentences


@dataclass(kw_only=True)
class TagsData(OwnFiles):
    """Your own tagged sentences; splits as for all own files, drawn by sentence.

    Files of columns hold one token a line, and an empty line between sentences, as those of CoNLL-2003 do. Those of
    JSON lines hold lists ``tokens`` and ``tags``.

    Args:
        format: ``columns``, ``conllu`` or ``jsonl``; if None, the suffix tells: columns, unless it is ``.conllu`` or
            ``.jsonl``.
        tag: column of the tags: its number from 0, or from -1 backwards; in CoNLL-U ``upos``, ``xpos`` or ``deprel``;
            in JSON lines a field. If None, the last column, ``upos`` or ``tags``.
        token: number of the column of the tokens, in files of columns.
        delimiter: between columns; if None, a tab if the first row has one, else any spaces.
        encoding: encoding of the files.
    """

    name = "tags"
    target_kind = "tagging"
    preparation = TagPreparation

    format: TagFormat | None = None
    tag: int | str | None = None
    token: int = 0
    delimiter: str | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout(Path(self.path))

    def read(self, paths: Sequence[Path]) -> list[TaggedSentences]:
        return [self._sentences(path) for path in paths]

    def _layout(self, path: Path) -> TagLayout:
        return TagLayout.of(
            str(path),
            self.format,
            tag=self.tag,
            token=self.token,
            delimiter=self.delimiter,
            encoding=self.encoding,
        )

    def _sentences(self, path: Path) -> TaggedSentences:
        layout = self._layout(path)
        found = TaggedSentences.of(layout.read(str(path)), layout)
        if not found.tokens:
            raise ValueError(f"{path} has no sentences: it is empty, or has nothing but comments")
        return found
