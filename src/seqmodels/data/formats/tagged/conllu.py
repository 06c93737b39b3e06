"""CoNLL-U, the format of Universal Dependencies: https://universaldependencies.org/format.html."""

import re
from collections.abc import Iterable, Iterator

from seqmodels.data.formats.records import Record
from seqmodels.data.formats.tagged.blocks import Block, blocks

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
TAGS = ("upos", "xpos", "deprel")
NOTHING = "_"
OTHER_ID = re.compile(r"\d+-\d+|\d+\.\d+")


def read_conllu(lines: Iterable[str], name: str, tag: str = "upos") -> Iterator[Record]:
    """Yield the sentences of a file lazily, each with its ``tokens`` and ``tags``.

    Tokens are syntactic words. A row for a multiword token (``3-4``) only says how the words after it are written
    together, and an empty node (``8.1``) is not written at all: both are skipped, as comments are. A sentence in which
    a word has no value in the column of the tags (``_``) has no ``tags``. A sentence with a row that is not CoNLL-U
    becomes a record with an error, which names the line.

    Args:
        lines: lines of the file.
        name: its name in messages.
        tag: column of the tags: ``upos``, ``xpos`` or ``deprel``.

    Example:
        >>> rows = ["# text = Dogs can't.", "1 Dogs dog NOUN", "2-3 can't _ _", "2 ca can AUX", "3 n't not PART"]
        >>> lines = ["\\t".join([*row.split(), *["_"] * 6]) if row[0] != "#" else row for row in rows]
        >>> [record.fields for record in read_conllu(lines, "pets.conllu")]
        [{'tokens': ['Dogs', 'ca', "n't"], 'tags': ['NOUN', 'AUX', 'PART']}]
    """
    for block in blocks(lines):
        rows = [(number, line) for number, line in block if not line.startswith("#")]
        if rows:
            yield _sentence(rows, name, COLUMNS.index(tag))


def _sentence(rows: Block, name: str, tag: int) -> Record:
    place, tokens, tags = f"{name}, line {rows[0][0]}", list[str](), list[str]()
    for number, line in rows:
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            reason = f"{len(cells)} columns separated by tabs, a row of CoNLL-U has {len(COLUMNS)}"
            return Record(place, {}, f"{name}, line {number}: {reason}")
        if OTHER_ID.fullmatch(cells[0]):
            continue
        if cells[0] != str(len(tokens) + 1):
            reason = f"the ID must be {len(tokens) + 1}, got {cells[0]!r}: sentences are separated by an empty line"
            return Record(place, {}, f"{name}, line {number}: {reason}")
        tokens.append(cells[1])
        tags.append(cells[tag])
    if not tokens:
        return Record(place, {}, f"{place}: a sentence without words")
    return Record(place, {"tokens": tokens} if NOTHING in tags else {"tokens": tokens, "tags": tags})
