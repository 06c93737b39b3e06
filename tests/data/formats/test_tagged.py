"""Readers of tagged sentences: CoNLL-U and columns."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from seqmodels.data.formats.tagged.columns import read_columns
from seqmodels.data.formats.tagged.conllu import read_conllu
from seqmodels.data.formats.tagged.layout import TagLayout


def conllu(*rows: str) -> list[str]:
    """Lines of CoNLL-U from ``id form upos xpos``, the other columns empty; an empty text ends a sentence."""
    lines = []
    for row in rows:
        cells = row.split()
        whole = row.startswith("#") or not cells
        lines.append(row if whole else "\t".join([*cells[:2], "_", *cells[2:4], *["_"] * (8 - len(cells[1:4]))]))
    return [f"{line}\n" for line in lines]


SENTENCES = conllu(
    "# sent_id = 1",
    "# text = I don't.",
    "1 I PRON PRP",
    "2-3 don't _ _",
    "2 do AUX VBP",
    "3 n't PART RB",
    "3.1 go VERB VB",
    "4 . PUNCT .",
    "",
    "",
    "# a comment alone",
    "",
    "1 # SYM #",
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("tag", "first"), [("upos", "PRON AUX PART PUNCT"), ("xpos", "PRP VBP RB .")])
def test_conllu_gives_the_words_without_multiword_tokens_empty_nodes_and_comments(
    tag: str, first: str, end: str
) -> None:
    lines = [line.replace("\n", end) for line in SENTENCES]
    one, other = read_conllu(lines, "a.conllu", tag)
    assert one == ("a.conllu, line 3", {"tokens": ["I", "do", "n't", "."], "tags": first.split()}, "")
    assert other.place == "a.conllu, line 13"
    assert other.fields["tokens"] == ["#"], "a sign in the second column is no comment"


def test_a_sentence_of_conllu_without_a_tag_for_each_word_has_none() -> None:
    (record,) = read_conllu(conllu("1 Go VERB _", "2 on _ _"), "a.conllu")
    assert record.fields == {"tokens": ["Go", "on"]}


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (["1\tGo\tgo\n"], "a.conllu, line 1: 3 columns separated by tabs, a row of CoNLL-U has 10"),
        (conllu("1 Go VERB", "1 On ADV"), "a.conllu, line 2: the ID must be 2, got '1': sentences are separated by"),
        (conllu("x Go VERB"), "a.conllu, line 1: the ID must be 1, got 'x'"),
        (conllu("1-2 don't _"), "a.conllu, line 1: a sentence without words"),
    ],
)
def test_a_sentence_of_conllu_that_is_damaged_names_the_line_and_costs_no_other(rows: list[str], error: str) -> None:
    damaged, other = read_conllu([*rows, "\n", *conllu("1 Yes INTJ")], "a.conllu")
    assert damaged.error.startswith(error)
    assert other.fields["tokens"] == ["Yes"]


CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

-DOCSTART- -X- -X- O

Peter NNP B-NP B-PER
"""


@pytest.mark.parametrize(("tag", "tags"), [(-1, ["B-ORG", "O"]), (1, ["NNP", "VBZ"]), (7, None)])
def test_columns_give_the_tokens_and_the_tags_of_a_column(tag: int, tags: list[str] | None) -> None:
    first, second = read_columns(CONLL_2003.splitlines(keepends=True), "eng.train", tag=tag)
    assert first.place == "eng.train, line 3"
    assert first.fields == {"tokens": ["EU", "rejects"]} | ({} if tags is None else {"tags": tags})
    assert (second.place, second.fields["tokens"]) == ("eng.train, line 8", ["Peter"])


@pytest.mark.parametrize(
    ("lines", "tokens"),
    [
        (["New York\tB-LOC\n", "calls\tO\n"], ["New York", "calls"]),
        (["12\u00a0000  NUM \n", "men  NOUN\n"], ["12\u00a0000", "men"]),
        (["New\n", "York\n"], ["New", "York"]),
    ],
    ids=["tabs", "spaces but for those within tokens", "no tags"],
)
def test_columns_are_delimited_by_tabs_or_spaces(lines: list[str], tokens: list[str]) -> None:
    (record,) = read_columns(lines, "a.txt")
    assert record.fields["tokens"] == tokens
    assert ("tags" in record.fields) == (tokens != ["New", "York"])


@pytest.mark.parametrize(
    ("lines", "options", "error"),
    [
        (["a X\n", "b\n"], {}, "a.txt, line 2: 1 columns, line 1 has 2"),
        (["a X\n", "New York X\n"], {}, "a.txt, line 2: 3 columns, line 1 has 2"),
        (["a X\n"], {"token": 2}, "a.txt, line 1: 2 columns, the token would be in column 2"),
        (["\tX\n"], {}, "a.txt, line 1: the token is empty"),
    ],
)
def test_a_row_with_other_columns_names_the_line(lines: list[str], options: dict[str, Any], error: str) -> None:
    (record,) = read_columns(lines, "a.txt", **options)
    assert record.error == error


def test_the_suffix_tells_the_format_unless_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu.gz"
    path.write_bytes(gzip.compress("".join(SENTENCES).encode()))
    assert [record.fields["tags"] for record in TagLayout.of(str(path)).read(str(path))][1] == ["SYM"]
    lines = tmp_path / "a.jsonl"
    lines.write_text(json.dumps({"tokens": ["Go"], "ner": ["O"]}))
    (record,) = TagLayout.of(str(lines), tag="ner").read(str(lines))
    assert record.fields["tags"] == ["O"]
    assert TagLayout.of("a.txt", "conllu").tag == "upos"
    assert TagLayout.of("a.txt", delimiter="\\t").delimiter == "\t"


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        ("a.conllu", {"tag": "feats"}, "tag must be a column of CoNLL-U, upos, xpos, deprel, got 'feats'"),
        ("a.conllu", {"tag": 3}, "tag must be a column of CoNLL-U"),
        ("a.txt", {"tag": "ner"}, "tag must be the number of a column, from 0, -1 for the last, got 'ner'"),
        ("a.txt", {"format": "csv"}, "format must be one of conllu, columns, jsonl, got 'csv'"),
        ("a.txt", {"encoding": "utf-9"}, "encoding must be one that Python knows"),
    ],
)
def test_an_option_that_does_not_suit_the_format_is_named(path: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TagLayout.of(path, **options)
