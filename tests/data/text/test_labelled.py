"""Texts with labels: read from tables, folders and archives, split, turned into tokens; what is wrong is named."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import (
    DataModule,
    IMDBData,
    NamesData,
    SequenceBatch,
    SST2Data,
    TextCSVData,
    TextCSVMultilabelData,
    TextFolderData,
    TokenPreprocessing,
    Vocabulary,
)
from seqmodels.data.formats.folders import read_tar
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.text.labelled_table import parse_table
from seqmodels.data.text.token_augmentation import TokenAugmentation, TokenDrop, TokenSwap
from seqmodels.data.text.token_preprocessing import TextCounts
from seqmodels.data.text.vocabulary_learning import CharacterLearner, WordLearner
from tests.datasets import data_of

WORDS = ["good film", "bad film", "a good one", "a bad one", "so good", "so bad"]


def table(path: Path, rows: int = 60, header: str = "text,label\n") -> Path:
    lines = [f'"{WORDS[row % 6]} {row}",{("pos", "neg")[row % 2]}\n' for row in range(rows)]
    path.write_text(header + "".join(lines), encoding="utf-8")
    return path


def csv_data(path: Path, **options: Any) -> DataModule:
    return data_of(TextCSVData, path=path, vocabulary=WordLearner(), **options)


def preprocessing_of(data: DataModule) -> TokenPreprocessing:
    """Set a data module up; return its preprocessing, rebuilt from its node."""
    data.setup()
    preprocessing: TokenPreprocessing = build(json.loads(json.dumps(data.preprocessing)))
    return preprocessing


def vocabulary(data: DataModule) -> Vocabulary:
    """Return the vocabulary that was learnt."""
    return preprocessing_of(data).vocabulary


def read(content: str | bytes, **options: Any) -> Any:
    content = content.encode() if isinstance(content, str) else content
    text, label = options.pop("text", "text"), options.pop("label", "label")
    separator = options.pop("separator", None)
    return parse_table(content, options.pop("name", "my.csv"), text, label, CSVDialect(**options), separator=separator)


def test_a_table_may_quote_its_fields_and_have_any_order_of_columns_and_line_ends() -> None:
    found = read('\ufeffid,label,text\r\n1,a,"one, ""two""\r\nthree"\r\n\r\n2, b ,four\r\n')
    assert found.texts == ['one, "two"\r\nthree', "four"]
    assert found.labels == ["a", "b"]
    assert found.places == ["my.csv, line 2", "my.csv, line 5"]


def test_a_table_without_a_header_has_numbered_columns_and_texts_are_joined() -> None:
    found = read('1\tto \tbe\t"\n', name="my.tsv", header=False, quotes=False, text=(1, 2, 3), label=0)
    assert (found.texts, found.labels) == (['to  be "'], ["1"])


def test_no_character_of_a_text_is_lost() -> None:
    text = "\0 \u200d \u05e9 \x1c \u2028 \x85 \ufeff"
    assert read(f"text,label\n{text},a\n").texts == [text]


def test_a_row_may_have_many_labels_or_none() -> None:
    found = read("text,label\nx,a; b;a\ny,\n", separator=";")
    assert found.labels == [("a", "b"), ()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "my.csv is empty"),
        ("text,label\n", "no rows below its header"),
        ("review,label\nx,a\n", r"my.csv has no column 'text' \(it has: 'review', 'label'\)"),
        ("text,text,label\nx,y,a\n", "line 1: the column 'text' is named twice"),
        ("text,label\nx,a\ny\n", "line 3: 1 fields, but there are 2 columns"),
        ("text,label\nx,y,a\n", "line 2: 3 fields"),
        ("text,label\nx,\n", "line 2, column 'label': there is no label"),
        ('text,label\n"x,a\n', "my.csv, line 2: unexpected end of data"),
        (b"text,label\nok,a\ncaf\xe9,a\n", "line 3: byte 0xe9 at offset 19 is not utf-8"),
        ("text,label\n" + "x" * 200_000 + ",a\n", "line 2: field larger than field limit"),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_its_line(content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(content)


def test_a_table_in_another_encoding_is_read_where_that_is_said() -> None:
    assert read(b"text,label\ncaf\xe9,a\n", encoding="latin-1").texts == ["caf\u00e9"]


def test_own_texts_are_drawn_into_parts_with_the_same_share_of_each_class(tmp_path: Path) -> None:
    data = csv_data(table(tmp_path / "my.csv"), val_share=0.2, test_share=0.1)
    data.setup()
    assert data.class_names == ("neg", "pos")
    assert {name: split.targets.bincount().tolist() for name, split in _splits(data).items()} == {
        "train": [21, 21],
        "val": [6, 6],
        "test": [3, 3],
    }
    again = csv_data(table(tmp_path / "my.csv"), val_share=0.2, test_share=0.1)
    again.setup()
    assert all(torch.equal(split.values, again.split(name).values) for name, split in _splits(data).items())


def test_own_parts_are_those_of_their_files_and_only_the_first_teaches_the_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("text,label\nunheard good words,pos\n", encoding="utf-8")
    with gzip.open(tmp_path / "test.csv.gz", "wt", encoding="utf-8") as file:
        file.write("text,label\nnothing known here at all,neg\ngood,pos\n")
    data = csv_data(
        table(tmp_path / "my.csv"),
        val_path=tmp_path / "val.csv",
        test_path=tmp_path / "test.csv.gz",
        max_length=2,
    )
    data.setup()
    assert len(data.split("train")) == 60
    assert "unheard" not in vocabulary(data).tokens
    assert data.prepared.counts["val"] == TextCounts(rows=1, tokens=3, unknown=2, cut=1, dropped=0, absent=1)
    assert data.prepared.counts["test"] == TextCounts(rows=2, tokens=6, unknown=5, cut=1, dropped=0)
    assert data.split("test").lengths.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_share": 0.0}, r"val_share must lie in \(0, 1\)"),
        ({"test_share": 1.0}, r"test_share must lie in \[0, 1\)"),
        ({"val_share": 0.6, "test_share": 0.5}, "must leave something to train with"),
        ({"max_length": 0}, "max_length must be at least 1 token, got 0"),
        ({"empty": "keep"}, "empty must be one of error, drop, got 'keep'"),
        ({"encoding": "utf-9"}, "encoding must be one that Python knows"),
        ({"delimiter": "::"}, "delimiter must be a single character"),
        ({"text": "label"}, "data.text=label: 'label' is data.label too"),
        ({"text": []}, "data.text must name a column"),
        ({"val_path": 5}, "val_path must be a path, got 5"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        csv_data(tmp_path / "my.csv", **options)


def test_an_empty_text_is_an_error_by_its_line_or_left_out_and_counted(tmp_path: Path) -> None:
    path = table(tmp_path / "my.csv")
    path.write_text(path.read_text("utf-8") + '"  ",pos\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"my.csv, line 62: the text '  ' has no token to read"):
        csv_data(path).setup()
    data = csv_data(path, empty="drop")
    data.setup()
    assert sum(counts.dropped for counts in data.prepared.counts.values()) == 1
    assert sum(counts.rows for counts in data.prepared.counts.values()) == 60


def test_an_empty_text_of_a_new_file_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    preprocessing = preprocessing_of(csv_data(table(tmp_path / "my.csv"), empty="error"))
    records = [Record(f"new, line {row}", {"text": text, "label": "pos"}) for row, text in enumerate(("", "good"), 1)]
    with caplog.at_level("INFO", "seqmodels"):
        assert len(preprocessing.labelled(records, ["neg", "pos"])) == 1
    assert "1 empty ones left out" in caplog.text
    with pytest.raises(ValueError, match="no text has a token to read"):
        preprocessing.labelled(records[:1], ["neg", "pos"])


def test_labels_unseen_in_training_are_an_error_by_their_lines(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("text,label\ngood,pos\nwhat,mixed\nso,odd\nso,mixed\n", encoding="utf-8")
    first, second = (rf"\S*val\.csv, line {line}" for line in (3, 5))
    strange = rf"'mixed' \({first}; {second}\), 'odd' \(\S*val\.csv, line 4\); there: neg, pos$"
    with pytest.raises(ValueError, match=f"labels that do not occur in the train split: {strange}"):
        csv_data(table(tmp_path / "my.csv"), val_path=tmp_path / "val.csv").setup()
    preprocessing = preprocessing_of(csv_data(table(tmp_path / "my.csv")))
    with pytest.raises(ValueError, match=strange):
        preprocessing.labelled(preprocessing.read(str(tmp_path / "val.csv")), ["neg", "pos"])


@pytest.mark.parametrize("empty", ["error", "drop"])
def test_a_labelled_file_is_read_as_a_split_of_the_training(empty: Any, tmp_path: Path) -> None:
    rows = "good film,pos\nso bad indeed,neg\na good one,pos\n" + ('" ",neg\n' if empty == "drop" else "")
    (tmp_path / "test.csv").write_text("text,label\n" + rows, encoding="utf-8")
    records = [
        {"text": text.strip('"'), "label": label} for text, label in (row.split(",") for row in rows.splitlines())
    ]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    data = csv_data(table(tmp_path / "my.csv"), test_path=tmp_path / "test.csv", max_length=2, empty=empty)
    preprocessing, expected = preprocessing_of(data), data.split("test")
    for name in ("test.csv", "test.jsonl"):
        found = preprocessing.labelled(preprocessing.read(str(tmp_path / name)), data.class_names)
        for part in ("values", "lengths", "targets"):
            assert torch.equal(getattr(found, part), getattr(expected, part))


def test_labels_that_lack_or_cannot_be_read_are_named(tmp_path: Path) -> None:
    preprocessing = preprocessing_of(csv_data(table(tmp_path / "my.csv")))
    for record, message in (
        ({"text": "good"}, "new, line 1: there is no label under 'label', the record has 'text'"),
        ({"text": "good", "label": 0.5}, "new, line 1: there is no label under 'label', got 0.5"),
        ({"text": "good", "label": " "}, "new, line 1: .*there is no label"),
    ):
        with pytest.raises(ValueError, match=message):
            preprocessing.labelled([Record("new, line 1", record)], ["neg", "pos"])


def test_without_a_share_for_testing_there_is_no_test_split(tmp_path: Path) -> None:
    data = csv_data(table(tmp_path / "my.csv"), test_share=0)
    data.setup()
    assert data.prepared.splits.test is None
    assert [len(data.split(name)) for name in ("train", "val")] == [54, 6]


def test_classes_too_small_for_every_split_are_counted(tmp_path: Path) -> None:
    rows = ["word x,common\n"] * 100 + [f"word y,rare{row // 3}\n" for row in range(600)]
    (tmp_path / "my.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    data = csv_data(tmp_path / "my.csv")
    data.setup()
    counts = data.prepared.counts
    assert {name: (part.rows, part.absent) for name, part in counts.items()} == {
        "train": (560, 0),
        "val": (70, 140),
        "test": (70, 140),
    }
    assert str(counts["val"]).endswith(", no text of 140 labels")


def test_labels_that_are_numbers_are_in_their_order_and_others_in_that_of_their_characters(tmp_path: Path) -> None:
    for labels, order in ((["10", "9", "-1"], ["-1", "9", "10"]), (["9" * 5000, "10", "b"], ["10", "9" * 5000, "b"])):
        rows = "".join(f"some text,{label}\n" for label in labels for _ in range(9))
        (tmp_path / "my.csv").write_text("text,label\n" + rows, encoding="utf-8")
        data = csv_data(tmp_path / "my.csv")
        data.setup()
        assert list(data.class_names) == order


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none.csv cannot be read: No such file"):
        csv_data(tmp_path / "none.csv").setup()


def test_many_labels_become_rows_of_zeros_and_ones(tmp_path: Path) -> None:
    rows = [f"text {row},{('x', 'y;x', '')[row % 3]}\n" for row in range(30)]
    (tmp_path / "my.csv").write_text("text,labels\n" + "".join(rows), encoding="utf-8")
    data = data_of(TextCSVMultilabelData, path=tmp_path / "my.csv", vocabulary=WordLearner())
    preprocessing = preprocessing_of(data)
    assert data.class_names == ("x", "y")
    targets = data.split("train").targets
    assert set(map(tuple, targets.tolist())) == {(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)}
    records = [Record("new", {"text": "text", "labels": labels}) for labels in ("y; x", "", ["x"])]
    assert preprocessing.labelled(records, data.class_names).targets.tolist() == [[1, 1], [0, 0], [1, 0]]


def test_a_folder_of_folders_is_read_and_its_bad_file_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for row in range(20):
        file = tmp_path / ("pos", "neg")[row % 2] / f"{row}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(WORDS[row % 6], encoding="utf-8")
    data = data_of(TextFolderData, path=tmp_path, vocabulary=WordLearner())
    with caplog.at_level("INFO", "seqmodels"):
        data.setup()
    assert "text: text; label: label\n" in caplog.text
    assert (data.class_names, sum(counts.rows for counts in data.prepared.counts.values())) == (("neg", "pos"), 20)
    (tmp_path / "neg" / "20.txt.gz").write_bytes(gzip.compress(b"so bad"))
    preprocessing = preprocessing_of(data_of(TextFolderData, path=tmp_path, vocabulary=WordLearner()))
    (tmp_path / "a.txt").write_text("so good")
    examples = list(preprocessing.examples(preprocessing.read(str(tmp_path))))
    assert len(examples) == 22
    assert [dict(example.fields) for example in (*examples[:3], examples[-1])] == [
        {"file": "a.txt"},
        {"file": "neg/1.txt", "label": "neg"},
        {"file": "neg/11.txt", "label": "neg"},
        {"file": "pos/8.txt", "label": "pos"},
    ]
    (tmp_path / "a.txt").unlink()
    assert len(preprocessing.labelled(preprocessing.read(str(tmp_path)), ["neg", "pos"])) == 21
    (tmp_path / "pos" / "bad.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"bad.txt, line 1: byte 0xff"):
        data_of(TextFolderData, path=tmp_path, vocabulary=WordLearner()).setup()
    with pytest.raises(ValueError, match="at least two folders"):
        data_of(TextFolderData, path=tmp_path / "pos", vocabulary=WordLearner()).setup()


def archive(members: dict[str, bytes | tarfile.TarInfo]) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    target.seek(0)
    return target


def test_an_archive_is_read_where_it_lies_and_links_in_it_lead_nowhere(tmp_path: Path) -> None:
    link = tarfile.TarInfo("set/train/pos/link.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    found = read_tar(
        archive({"set/train/pos/1.txt": b"yes", "set/README": b"", "set/test/neg/2.txt": b"no", "link": link}), "a.tar"
    )
    assert {part: (texts.texts, texts.labels) for part, texts in found.items()} == {
        "train": (["yes"], ["pos"]),
        "test": (["no"], ["neg"]),
    }
    with pytest.raises(ValueError, match=r"a.tar cannot be read as an archive"):
        read_tar(io.BytesIO(archive({"a/b/c.txt": b"x" * 9999}).getvalue()[:60]), "a.tar")


def test_new_texts_are_read_as_training_texts_were(tmp_path: Path) -> None:
    data = csv_data(table(tmp_path / "my.csv"), text="text", max_length=3)
    data.setup()
    preprocessing = build(json.loads(json.dumps(data.preprocessing)))
    text = "A GOOD unheard film"
    assert preprocessing.encode({"text": text}).tolist() == vocabulary(data).encode(text)[:3]
    assert preprocessing.encode({"text": text, "id": "4"}).tolist() == vocabulary(data).encode(text)[:3]
    for record, message in (
        ({"review": "x"}, "'text' must be a text, the record has 'review'"),
        ({"text": " "}, "text: there is no token"),
    ):
        with pytest.raises(ValueError, match=message):
            preprocessing.encode(record)


def test_several_columns_are_one_text_in_training_and_after(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("a,b,label\n" + "one,two,x\nthree,four,y\n" * 20, encoding="utf-8")
    data = csv_data(tmp_path / "my.csv", text=["b", "a"])
    data.setup()
    preprocessing = build(data.preprocessing)
    assert vocabulary(data).decode(preprocessing.encode({"a": "one", "b": "two"}).tolist()) == "two one"


def batch() -> SequenceBatch:
    lengths = torch.tensor([7, 1, 5, 2])
    tokens = torch.arange(1, 29).view(4, 7)
    return SequenceBatch(tokens * (torch.arange(7) < lengths[:, None]), lengths, torch.tensor([0, 1, 1, 0]))


@pytest.mark.parametrize("augmentation", [TokenDrop(rate=0.6), TokenSwap(rate=0.6)])
def test_augmentation_of_tokens_keeps_padding_behind_and_is_a_function_of_its_generator(
    augmentation: TokenAugmentation,
) -> None:
    for seed in range(20):
        before = batch()
        after = augmentation(before, torch.Generator().manual_seed(seed))
        again = augmentation(before, torch.Generator().manual_seed(seed))
        assert torch.equal(after.inputs, again.inputs)
        assert int(after.lengths.min()) >= 1
        assert after.inputs.shape[1] == int(after.lengths.max()) or isinstance(augmentation, TokenSwap)
        for row, length in enumerate(after.lengths.tolist()):
            tokens, old = after.inputs[row, :length].tolist(), before.inputs[row, : before.lengths[row]].tolist()
            assert not after.inputs[row, length:].any()
            if isinstance(augmentation, TokenDrop):
                assert [token for token in old if token in tokens] == tokens
            else:
                assert sorted(tokens) == sorted(old)
                assert all(abs(old.index(token) - place) <= 1 for place, token in enumerate(tokens))
        assert torch.equal(before.inputs, batch().inputs)


def test_augmentation_of_tokens_changes_about_so_many_as_asked() -> None:
    tokens = SequenceBatch(torch.arange(1, 4001)[None], torch.tensor([4000]), torch.tensor([0]))
    generator = torch.Generator().manual_seed(0)
    assert abs(int(TokenDrop(rate=0.2)(tokens, generator).lengths) - 3200) < 100
    swapped = TokenSwap(rate=0.2)(tokens, generator).inputs != tokens.inputs
    assert abs(int(swapped.sum()) - 800) < 150


def test_augmentation_of_tokens_refuses_series_and_targets_for_every_step() -> None:
    generator = torch.Generator()
    with pytest.raises(ValueError, match="TokenDrop changes tokens"):
        TokenDrop()(batch()._replace(inputs=torch.rand(4, 7, 2)), generator)
    with pytest.raises(ValueError, match="TokenSwap moves tokens"):
        TokenSwap()(batch()._replace(targets=torch.zeros(4, 7, dtype=torch.long)), generator)
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\), got 1"):
        TokenDrop(rate=1)


PUBLISHED: list[tuple[Callable[[Path], Any], list[int], int]] = [
    (
        lambda folder: data_of(SST2Data, data_dir=folder, vocabulary=WordLearner(splitting="spaces")),
        [6920, 872, 1821],
        2,
    ),
    (
        lambda folder: data_of(NamesData, data_dir=folder, vocabulary=CharacterLearner(normalization="ASCII")),
        [15338, 1704, 3008],
        18,
    ),
]


@pytest.mark.parametrize(("make", "rows", "classes"), PUBLISHED)
def test_published_sets_have_the_rows_that_they_say(
    make: Callable[[Path], Any], rows: list[int], classes: int, data_dir: Path
) -> None:
    data = make(data_dir)
    data.prepare_data()
    data.setup()
    assert [len(split) for split in _splits(data).values()] == rows
    assert data.sizes == {"vocab_size": len(vocabulary(data)), "output_size": classes}
    assert data.prepared.counts["train"].unknown == 0


@pytest.mark.slow
def test_the_published_reviews_are_all_there(data_dir: Path) -> None:
    data = data_of(IMDBData, data_dir=data_dir, vocabulary=WordLearner())
    data.prepare_data()
    data.setup()
    assert [len(data.split(split)) for split in ("train", "val", "test")] == [22500, 2500, 25000]


def test_imdb_says_where_its_reviews_would_lie(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"imdb has neither aclImdb_v1.labeled.tar.gz nor .*aclImdb_v1.tar.gz"):
        IMDBData(data_dir=tmp_path).prepare()


def test_imdb_is_read_from_its_folder_without_line_breaks_of_a_page(tmp_path: Path) -> None:
    for part, rows in (("train", 40), ("test", 6)):
        for row in range(rows):
            file = tmp_path / "imdb" / "aclImdb" / part / ("pos", "neg", "unsup")[row % 3] / f"{row}_7.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{WORDS[row % 6]}<br /><br />end", encoding="utf-8")
    data = data_of(IMDBData, data_dir=tmp_path, vocabulary=WordLearner())
    data.prepare_data()
    data.setup()
    assert data.class_names == ("neg", "pos")
    assert [len(split) for split in _splits(data).values()] == [25, 2, 4]
    assert "br" not in vocabulary(data).tokens


def _splits(data: Any) -> dict[str, Any]:
    return {name: data.split(name) for name in ("train", "val", "test")}
