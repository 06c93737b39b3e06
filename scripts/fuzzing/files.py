"""Readers of data files, with what they should read and grammars of what they must read exactly."""

import csv
import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.judging import NAME, Reader
from seqmodels.data.formats.archives.arff import arff_cases
from seqmodels.data.formats.archives.cases import SeriesFile, parse_cases
from seqmodels.data.formats.archives.ts import parse_ts
from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.folders import read_tar
from seqmodels.data.formats.idx import parse_idx
from seqmodels.data.formats.numbers import parse_numbers
from seqmodels.data.formats.piano_roll import parse_rolls
from seqmodels.data.formats.records import read_records, readable
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.formats.strict_text import decoded, decoded_lines
from seqmodels.data.formats.suffixes import Format
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.formats.tagged.columns import read_columns
from seqmodels.data.formats.tagged.conllu import read_conllu
from seqmodels.data.formats.text_files import DocumentFormat, documents
from seqmodels.data.tagging.sentences import TaggedSentences
from seqmodels.data.text.labelled_table import parse_table
from seqmodels.data.text.token_file import read_tokens, token_file

LETTERS = "aB7 ,;:\t\"'\u00e9\u0301\u05d0\u200d\U0001f468\n\r\0\ufeff{}[]#@?\\"
TABLE = 'text,label,n\n"a, b",x,1\r\n"two\nlines",y,2\n\u05e9\u05dc\u05d5\u05dd,"x;y",3\n'.encode()
DATED = b"day,a,b\n2020-01-01,1,2.5\n2020-01-02,-3,4e2\n2020-01-03,,6\n2020-01-04,8,9\n"
PLAIN = b"a,b\n1,2.5\n-3,4e2\n"
ZONED = b"day,a\n0001-01-01T05:00:00+05:00,1\n0001-01-01T06:00:00+05:00,2\n0001-01-01T07:00:00+05:00,3\n"
CONLLU = b"# a\n1\tI\t_\tPRON" + b"\t_" * 6 + b"\n2-3\tcan't" + b"\t_" * 8 + b"\n2\tca\t_\tAUX" + b"\t_" * 6 + b"\n\n"
IMAGES = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 9])
ORIGIN = {"source": "fuzz"}
GAPPY = CSVOptions(time="day", timezone="Europe/Berlin", impute="seasonal", gaps="fill")


def text(random: Random, letters: str = LETTERS, least: int = 0) -> str:
    """Return a short text of the letters that break things."""
    return "".join(random.choice(letters) for _ in range(random.randint(least, 9)))


def number(random: Random) -> float:
    """Return a finite number of any size."""
    return random.choice(
        (0.0, -1.5, 1e308, 5e-324, float(random.randint(-9, 9)), random.gauss(0, 1) * 10 ** random.randint(-300, 300))
    )


def series_of(content: bytes, options: CSVOptions) -> SeriesTable:
    return read_series(content, NAME, options)


def records(kind: Format) -> Callable[[bytes], Any]:
    return lambda content: [record.fields for record in readable(read_records(io.BytesIO(content), NAME, kind))]


def write_records(delimiter: str) -> Callable[[Random], tuple[bytes, Any]]:
    def write(random: Random) -> tuple[bytes, Any]:
        header = [f"c{number}" for number in range(random.randint(1, 4))]
        rows = [[text(random) or "-" for _ in header] for _ in range(random.randint(0, 5))]
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, *rows])
        return out.getvalue().encode(), [dict(zip(header, row, strict=True)) for row in rows]

    return write


def write_lines(random: Random) -> tuple[bytes, Any]:
    rows = [{text(random): random.choice((text(random), None, [1, 2.5], {"a": []}))} for _ in range(3)]
    lines = [json.dumps(row, ensure_ascii=random.random() < 0.5) for row in rows]
    return "\n".join(lines).encode(), rows


def write_table(random: Random) -> tuple[bytes, Any]:
    rows = [(text(random), text(random, LETTERS.strip(), 1).strip() or "x") for _ in range(random.randint(1, 5))]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("label", "text"), *((label, content) for content, label in rows)])
    return out.getvalue().encode(), ([content for content, _ in rows], [label for _, label in rows])


def write_series(random: Random) -> tuple[bytes, Any]:
    rows = [[number(random) for _ in range(3)] for _ in range(random.randint(1, 6))]
    end = random.choice(("\n", "\r\n"))
    return end.join(["a,b,c", *(",".join(map(repr, row)) for row in rows)]).encode(), rows


def write_numbers(random: Random) -> tuple[bytes, Any]:
    rows = [[number(random) for _ in range(3)] for _ in range(random.randint(1, 6))]
    return "\n\n".join(",".join(map(repr, row)) for row in rows).encode(), rows


def write_ts(random: Random) -> tuple[bytes, Any]:
    names = ["one", "two", "drei"]
    cases = [[[number(random) for _ in range(random.choice((3, 5)))] for _ in range(2)] for _ in range(4)]
    cases = [[case[0], [number(random) for _ in case[0]]] for case in cases]
    labels = [random.choice(names) for _ in cases]
    lines = ["#x", "@problemName f", "@timeStamps false", f"@classLabel true {' '.join(names)}", "@data"]
    lines = [line for line in lines if not line.startswith("@problem")]
    for case, label in zip(cases, labels, strict=True):
        lines.append(":".join([*(",".join(map(repr, column)) for column in case), label]))
    return "\n".join(lines).encode(), ([[list(row) for row in zip(*case, strict=True)] for case in cases], labels)


def sentences(reader: Callable[..., Any]) -> Callable[[bytes], Any]:
    return lambda content: TaggedSentences.of(reader(decoded_lines(io.BytesIO(content), NAME), NAME))[:2]


def write_sentences(random: Random) -> tuple[bytes, Any]:
    letters = LETTERS.translate(dict.fromkeys(map(ord, "\t\n\r\ufeff")))
    rows = [[(f"{text(random, letters)}w", random.choice("XY")) for _ in range(3)] for _ in range(random.randint(1, 4))]
    blocks = ("\n".join(f"{word}\t{tag}" for word, tag in row) for row in rows)
    words, tags = ([[pair[part] for pair in row] for row in rows] for part in (0, 1))
    return "\n\n".join(blocks).encode(), (words, tags)


def write_idx(random: Random) -> tuple[bytes, Any]:
    code, kind = random.choice(((8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")))
    sizes = [random.randint(1, 4) for _ in range(random.randint(1, 3))]
    array = np.array([random.randint(0, 99) for _ in range(int(np.prod(sizes)))], kind).reshape(sizes)
    return bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + array.tobytes(), array.tolist()


def write_rolls(random: Random) -> tuple[bytes, Any]:
    pieces = [[sorted(random.sample(range(21, 109), random.randint(0, 4))) for _ in range(3)] for _ in range(2)]
    return json.dumps({"train": pieces}).encode(), {"train": pieces}


def read_rolls(content: bytes) -> dict[str, list[list[list[int]]]]:
    found = parse_rolls(decoded(content, NAME), NAME)
    return {
        split: [[(frame.nonzero()[:, 0] + 21).tolist() for frame in piece] for piece in pieces]
        for split, pieces in found.items()
    }


def read_ts(content: bytes) -> Any:
    found: SeriesFile = parse_ts(decoded(content, NAME), NAME, missing="interpolate")
    return [series.tolist() for series in found.series], found.labels


def finite(values: Any) -> str | None:
    """Say that there is a number among nested lists that is none."""
    return None if np.isfinite(np.concatenate([np.ravel(v) for v in values] or [[0]])).all() else "not finite"


def archive(random: Random) -> bytes:
    """Return an archive with members that lead out of it, are links, devices or folders."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=random.choice(("w", "w:gz"))) as tar:
        for index in range(random.randint(1, 5)):
            folder = random.choice(("train/pos", "a/test/neg", "../../etc/x", "/tmp/fuzz/escape", "train/pos/deep"))
            member = tarfile.TarInfo(f"{folder}/{index}.txt")
            member.type = random.choice((tarfile.REGTYPE,) * 4 + (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE))
            member.linkname = "/etc/passwd"
            content = text(random, "abc\n").encode() if member.type == tarfile.REGTYPE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def file_readers(folder: Path) -> list[Reader]:
    """Return the readers of data files; those that need a file on disk write it to ``folder``."""

    def on_disk(suffix: str, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
        path = folder / f"{NAME}{suffix}"

        def write_and_read(content: bytes) -> Any:
            path.write_bytes(content)
            return read(path)

        return write_and_read

    def tokens(path: Path) -> Any:
        corpus = read_tokens(path, ORIGIN)
        return None if corpus is None else (corpus.tokens.tolist(), corpus.offsets.tolist())

    token_file(folder / "seed.tokens", [[[1, 2], [3]], [[4]]], vocab_size=9, edge=0, origin=ORIGIN)
    seed_tokens = (folder / "seed.tokens").read_bytes()
    form = CSVDialect()
    tar_seeds = [archive(Random(seed)) for seed in range(9)]
    return [
        Reader("csv records", records("csv"), [TABLE], write_records(",")),
        Reader("tsv records", records("tsv"), [TABLE.replace(b",", b"\t")], write_records("\t")),
        Reader("jsonl records", records("jsonl"), [b'{"text": "a", "n": [1, 2.5]}\n{"b": null}\n'], write_lines),
        Reader("text records", records("text"), [b"one\ntwo\r\n\xef\xbb\xbfthree"]),
        Reader("labelled table", lambda c: parse_table(c, NAME, "text", "label", form)[:2], [TABLE], write_table),
        Reader(
            "table without header",
            lambda c: parse_table(c, NAME, [0, 2], 1, CSVDialect("\t", False, False, "latin-1"), separator=";"),
            [b"a\tx;y\tb\nc\t\td\n", TABLE],
        ),
        Reader("CoNLL-U", sentences(read_conllu), [CONLLU]),
        Reader("columns of tags", sentences(read_columns), [b"-DOCSTART- O\n\na\tX\nb c\tY\n"], write_sentences),
        Reader(
            "csv series", lambda c: series_of(c, CSVOptions()).values.tolist(), [PLAIN, DATED], write_series, finite
        ),
        Reader(
            "dated series",
            lambda c: series_of(c, CSVOptions(time="day", impute="linear", gaps="allow")).values.tolist(),
            [DATED, DATED.replace(b"2020-01-0", b"01/0").replace(b",1,", b"/2020,1,"), ZONED],
            sound=finite,
        ),
        Reader(
            "series with gaps in a zone",
            lambda c: series_of(c, GAPPY).values.tolist(),
            [DATED.replace(b"2020-01-02,-3,4e2\n", b""), DATED.replace(b"2020-01", b"2020-03"), ZONED],
            sound=finite,
        ),
        Reader("numbers", lambda c: parse_numbers(decoded(c, NAME), NAME).tolist(), [b"1,2\n3,4e5\n"], write_numbers),
        Reader(
            "ts archive",
            read_ts,
            [b"@timestamps false\n@univariate false\n@classLabel true a b\n@data\n1,2,?:3,4,5:a\n6:7:b\n"],
            write_ts,
            lambda found: finite(found[0]),
            (b"@data\n", b"@classLabel true ", b"@dimensions ", b"@seriesLength ", b"@timestamps true\n"),
        ),
        Reader(
            "arff archive",
            lambda content: [
                series.tolist() for series in parse_cases(arff_cases(decoded(content, NAME), NAME)).series
            ],
            [
                b"%x\n@relation o\n@attribute b relational\n@attribute t real\n@end b\n@attribute y {a,'b c'}\n@data\n"
                b"'1,2\\n3,4','b c'\n\"5,?\\n6,?\",a\n",
                b"@attribute t0 numeric\n@attribute t1 real\n@attribute target numeric\n@data\n1,2e3,-4\n",
            ],
            sound=finite,
        ),
        Reader("idx", lambda c: parse_idx(c, NAME).tolist(), [IMAGES], write_idx),
        Reader("piano rolls", read_rolls, [b'{"train": [[[60, 64], [-1], []], [[21.0]]], "test": []}'], write_rolls),
        Reader("gzip", on_disk(".gz", unpacked), [gzip.compress(TABLE, mtime=0)]),
        Reader("tar", lambda c: read_tar(io.BytesIO(c), NAME), tar_seeds, sound=inside, share=30),
        Reader(
            "documents",
            on_disk(".txt", lambda path: [list(lines) for lines in documents([path], DocumentFormat(separator=""))]),
            [b"one\n\ntwo\r\n\r\n\xe2\x82\xac"],
        ),
        Reader(
            "documents in json",
            on_disk(".jsonl", lambda path: [list(lines) for lines in documents([path], DocumentFormat())]),
            [b'{"text": "a"}\n\n{"text": "\\ud83d\\ude00"}'],
        ),
        Reader("token file", on_disk(".tokens", tokens), [seed_tokens], sound=known_tokens),
    ]


def inside(parts: Any) -> str | None:
    """Say that a text came from anywhere but the archive."""
    return "a link was followed" if any("root:" in text for part in parts.values() for text in part.texts) else None


def known_tokens(found: Any) -> str | None:
    """Say that a cached file gives other tokens than were put in."""
    return None if found in (None, ([0, 1, 2, 3, 0, 4, 0], [0, 4, 6])) else f"other tokens: {found!r:.200}"
