"""Streams of the package ``datasets``, tokenised once."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from seqmodels.data import DataModule, HuggingFaceText
from seqmodels.data.text.vocabulary_learning import CharacterLearner
from tests.datasets import ready

needs_datasets = pytest.mark.skipif(
    find_spec("datasets") is None, reason="the package datasets (extra hf) is not there"
)
TEXTS = [f"document {number} " * (number % 3 + 1) for number in range(43)]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A file of JSON lines, a document each, one of them empty."""
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"body": text, "n": 1}) + "\n" for text in [*TEXTS[:7], "", *TEXTS[7:]]))
    return path


def read(path: Path, tmp_path: Path, **options: Any) -> DataModule:
    """Set a data module up on a file."""
    options = {"column": "body", "batch_size": 2, "bptt": 7, **options}
    files = {"data_files": str(path), "cache_dir": tmp_path / "tokens"}
    return ready(HuggingFaceText, path="json", vocabulary=CharacterLearner(), **files, **options)


def texts(data: DataModule, split: str) -> list[str]:
    corpus, text = data.split(split).corpus, data.split(split).text
    parts = zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
    return [text.vocabulary.decode(corpus.tokens[first + 1 : end].tolist()) for first, end in parts]


@needs_datasets
def test_every_document_is_in_one_split_and_tokens_are_read_without_the_package(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read(lines, tmp_path)
    parts = {split: texts(data, split) for split in ("train", "val", "test")}
    assert sorted(text for part in parts.values() for text in part) == sorted(TEXTS)
    assert [len(part) for part in parts.values()] == [39, 2, 2]
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert texts(read(lines, tmp_path), "train") == parts["train"]
    with pytest.raises(ImportError, match=r"seqmodels\[hf\]"):
        read(lines, tmp_path, max_documents=5)


def test_a_split_for_validation_alone_leaves_no_test_and_one_for_testing_alone_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HuggingFaceText, "_stream", lambda self, split: (f"{split} {n}" for n in range(20)))
    validated = HuggingFaceText(path="any", val_split="validation").splits()
    assert validated.test is None
    assert len(list(validated.train)) == len(list(validated.val)) == 20
    tested = HuggingFaceText(path="any", test_split="test").splits()
    assert tested.test is not None
    assert [len(list(part)) for part in (tested.train, tested.val, tested.test)] == [19, 1, 20]
    assert list(tested.val) == ["train 18"]


@needs_datasets
def test_documents_and_those_that_the_vocabulary_is_learnt_from_can_be_limited(lines: Path, tmp_path: Path) -> None:
    data = read(lines, tmp_path, max_documents=2, vocabulary_documents=1)
    train = data.split("train")
    assert train.corpus.documents == 2
    assert set(train.text.vocabulary.tokens) >= set("document 0")
    assert "1" not in train.text.vocabulary.tokens


@needs_datasets
def test_what_is_wrong_is_named(lines: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"split train, document 0.*'text'.*body, n"):
        read(lines, tmp_path, column="text")
    with pytest.raises(ValueError, match=r"datasets cannot read .*nothing\.jsonl"):
        read(tmp_path / "nothing.jsonl", tmp_path)


def test_options_are_checked_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="max_documents must be at least 1, got 0"):
        HuggingFaceText(path="any", max_documents=0)
