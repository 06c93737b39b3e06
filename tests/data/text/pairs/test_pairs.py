"""Pairs of texts: read from tables and JSON lines, split by source, tokenised and back; what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import (
    BPELearner,
    CharacterLearner,
    CMUDictData,
    CopyData,
    DataModule,
    Loading,
    Multi30kData,
    PairBatch,
    PairedTexts,
    PairPreparation,
    PairPreprocessing,
    ReverseData,
    Splits,
    TabPairsData,
    TextPairsData,
    WordLearner,
)
from seqmodels.data.formats.records import Record

PAIRS = [("a man sleeps", "ein mann schläft"), ("a man eats", "ein mann isst"), ("a dog eats", "ein hund frisst")]


def table(path: Path, rows: int = 30) -> Path:
    lines = [f"{source} {row}\t{target}\n" for row in range(rows) for source, target in [PAIRS[row % 3]]]
    path.write_text("source\ttarget\n" + "".join(lines), encoding="utf-8")
    return path


def data_of(path: Path, loading: Loading | None = None, **options: Any) -> DataModule:
    names = {"vocabulary", "target_vocabulary", "shared_vocabulary", "max_length", "max_target_length", "empty"}
    preparation = {"vocabulary": WordLearner(), **{name: options.pop(name) for name in names & options.keys()}}
    data = DataModule(TextPairsData(path=path, **options), PairPreparation(**preparation), loading)
    data.setup()
    return data


def preprocessing_of(data: DataModule) -> PairPreprocessing:
    """Return the preprocessing, rebuilt from its node as a model folder does."""
    preprocessing: PairPreprocessing = build(json.loads(json.dumps(data.preprocessing)))
    return preprocessing


def encoded(text: PairPreprocessing, record: dict[str, Any]) -> list[int]:
    return text.encode(record).source


def test_a_batch_pads_both_sides_and_ends_targets(tmp_path: Path) -> None:
    data = data_of(table(tmp_path / "pairs.tsv"), Loading(batch_size=4, bucketing=True))
    batch: PairBatch = next(iter(data.train_dataloader()))
    text = preprocessing_of(data)
    assert batch.inputs.shape == batch.copies.shape == (4, 4)
    assert batch.targets.gather(1, batch.target_lengths[:, None] - 1).unique().tolist() == [text.end]
    assert batch.texts == []
    test: PairBatch = next(iter(data.test_dataloader()))
    for row, each in enumerate(test.texts):
        written = text.written(test.targets[row].tolist(), each.source)
        assert [written] == [reference.replace("<unk>", "") for reference in each.references]


def test_a_source_is_in_one_split_with_all_its_targets(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    records = [
        {"word": f"w{row}", "said": [f"{row} x", f"{row} y"] if row % 2 else f"{row} {row}"} for row in range(40)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records + records), encoding="utf-8")
    splits = TextPairsData(path=path, source="word", target="said", test_share=0.2).splits()
    assert splits.test is not None
    parts = [set(part.sources) for part in splits if part is not None]
    assert [len(part) for part in parts] == [28, 4, 8]
    assert len(set.union(*parts)) == 40
    targets = dict(zip(splits.train.sources, splits.train.targets, strict=True))
    assert all(len(found) == 1 + int(word[1:]) % 2 for word, found in targets.items())


def test_each_target_of_a_source_is_a_training_row_and_a_reference_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"source": f"{n} a", "target": ["b c", "d"]}) + "\n" for n in range(20)))
    data = data_of(path)
    assert len(data.split("train")) == 32
    assert next(iter(data.val_dataloader())).texts[0].references == ("b c", "d")


def test_a_shared_vocabulary_numbers_both_sides_alike(tmp_path: Path) -> None:
    shared = data_of(table(tmp_path / "pairs.tsv"), shared_vocabulary=True)
    assert shared.sizes["source_vocab_size"] == shared.sizes["target_vocab_size"]
    batch = next(iter(shared.train_dataloader()))
    known = batch.inputs > 1
    assert torch.equal(batch.copies[known], batch.inputs[known])
    assert data_of(table(tmp_path / "pairs.tsv")).sizes["source_vocab_size"] != shared.sizes["source_vocab_size"]


def test_words_outside_the_vocabulary_are_copied_by_their_number_in_the_source() -> None:
    rows = PairedTexts(
        ["the man ate", "the dog ate", "the man"], [("man ate",), ("dog ate",), ("the man",)], ["1", "2", "3"]
    )
    prepared = PairPreparation(vocabulary=WordLearner(min_frequency=1), shared_vocabulary=True)
    text: PairPreprocessing = build(prepared.prepare(_all(rows)).preprocessing)
    size = len(text.target_vocabulary)
    new = PairedTexts(["the Zebra and the Yak ate zebra"], [("yak ate the gnu zebra",)], ["1"])
    (pair,) = text.dataset(new, texts=True)[0].pairs
    the, ate = text.target_vocabulary.encode("the ate")
    assert pair.copies == [the, size, size + 1, the, size + 2, ate, size]
    assert pair.target == [size + 2, ate, the, text.target_vocabulary.unknown, size, text.end]
    assert text.written(pair.target, new.sources[0]) == "yak ate the <unk> zebra"
    with pytest.raises(ValueError, match=rf"an output token must be 0 to {size + 2}, got {size + 3}"):
        text.written([size + 3], new.sources[0])


def test_byte_pairs_and_characters_round_trip_any_text() -> None:
    rows = PairedTexts(["é 👩‍👩‍👧 e\u0301", "abc", "x"], [("שלום مرحبا",), ("a\u200db",), ("y",)], ["1", "2", "3"])
    for learner in (BPELearner(max_size=300), CharacterLearner()):
        text: PairPreprocessing = build(PairPreparation(vocabulary=learner).prepare(_all(rows)).preprocessing)
        for pair in text.dataset(rows, texts=True)[0].pairs:
            assert text.written(pair.target, pair.text.source) == text.target_vocabulary.normalize(
                pair.text.references[0]
            )


def test_new_sources_are_read_by_their_field_or_as_lines(tmp_path: Path) -> None:
    text = preprocessing_of(data_of(table(tmp_path / "pairs.tsv")))
    assert encoded(text, {"text": "a man"}) == encoded(text, {"source": "a man", "id": "7"}) == [2, 4]
    assert encoded(text, {"text": "a \u4eba"}) == [2, 1]
    with pytest.raises(ValueError, match="source: there is no token to read, got ' '"):
        encoded(text, {"source": " ", "id": "1"})
    with pytest.raises(ValueError, match="'source' must be a text, the record has 'id', 'text'"):
        encoded(text, {"id": "1", "text": "a"})


def test_long_and_unknown_sources_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = preprocessing_of(data_of(table(tmp_path / "pairs.tsv")))
    caplog.set_level("INFO")
    list(text.examples([Record("1", {"text": "a man " * 3}), Record("2", {"text": "xyz a"})]))
    assert "2 sources, 8 tokens, 12.50 % unknown" in caplog.text
    assert "1 of 2 sources are longer than the longest one of the training data, which has 4 tokens" in caplog.text


def test_limits_cut_and_are_counted(tmp_path: Path) -> None:
    data = data_of(table(tmp_path / "pairs.tsv"), max_length=2, max_target_length=1)
    batch = next(iter(data.train_dataloader()))
    assert (batch.inputs.shape[1], batch.targets.shape[1]) == (2, 2)
    assert data.prepared.counts["train"].cut == 24


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("source\ttarget\na\t \n", {}, r"pairs.tsv, line 2: the target ' ' has no token; data.empty=drop"),
        ("source\ttarget\n\tb\n", {}, r"pairs.tsv, line 2: the source '' has no token"),
        ("source\ttarget\na\n", {}, r"pairs.tsv, line 2: "),
        ("source\tother\na\tb\n", {}, r"no column 'target'"),
        ("source\ttarget\na\tb\n", {"unit": "letters"}, "unit must be one of words, phonemes, characters"),
        ("source\ttarget\na\tb\n", {"target": "source"}, "must be different columns"),
        ("source\ttarget\na\tb\n", {"max_target_length": 0}, "max_target_length must be at least 1"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(
    content: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path, other = tmp_path / "pairs.tsv", table(tmp_path / "other.tsv")
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        data_of(other, val_path=path, test_path=other, **options)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source": "a"}', "line 1: 'target' must be a text, the record has 'source'"),
        ('{"source": 3, "target": "b"}', "line 1: 'source' must be a text, got 3"),
        ('{"source": "a", "target": []}', r"line 1: 'target' must be a text, got \[\]"),
        ("[1]", "line 1: must be a JSON object"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_with_json_lines_is_named(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        TextPairsData(path=tmp_path / "pairs.jsonl").splits()


def test_generated_strings_are_in_one_split_only() -> None:
    for kind in (CopyData, ReverseData):
        splits = kind(train_rows=300, val_rows=20, test_rows=30, symbols=4, shortest=4, longest=6).splits()
        sources = [source for part in splits if part is not None for source in part.sources]
        assert len(set(sources)) == 350
        assert {len(source) for source in sources} == {4, 5, 6}
        step = 1 if kind is CopyData else -1
        assert all(target == (source[::step],) for source, target in zip(*splits.train[:2], strict=True))
    with pytest.raises(ValueError, match="there are 2032 strings of 4 to 10 of 2 symbols, too few for 11500"):
        CopyData(symbols=2)


def test_published_pairs_have_their_sizes_and_no_source_is_in_two_splits(data_dir: Path) -> None:
    translated = Multi30kData(data_dir=data_dir, direction="en-de", test_set="test_2017_mscoco").splits()
    assert [len(part.sources) for part in translated if part is not None] == [29000, 1014, 461]
    assert translated.val.targets[0][0].startswith("Eine Gruppe von Männern lädt")
    for source, sizes, targets in (
        (CMUDictData(data_dir=data_dir), [113447, 6302, 6303], 134860),
        (TabPairsData(data_dir=data_dir), [88793, 4933, 4933], 0),
    ):
        parts = [part for part in source.splits() if part is not None]
        assert [len(part.sources) for part in parts] == sizes
        assert len({text for part in parts for text in part.sources}) == sum(sizes)
        assert targets in (0, sum(map(len, (found for part in parts for found in part.targets))))


def _all(rows: PairedTexts) -> Any:
    return Splits(rows, rows, rows)
