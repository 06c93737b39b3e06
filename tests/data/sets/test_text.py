"""Text of one's own and published sets: splits that share nothing, vocabularies of training text, tokens kept once."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import (
    DataModule,
    Documents,
    IMDBTextData,
    PTBData,
    PythonDocsData,
    Splits,
    TextData,
    TextPreprocessing,
    TinyShakespeareData,
    TokenizedPreparation,
)
from seqmodels.data.formats.records import Record
from seqmodels.data.sets.ptb import by_words
from seqmodels.data.sets.text import cut, shared_out
from seqmodels.data.text.corpus import Corpus
from seqmodels.data.text.language_modeling import by_characters
from seqmodels.data.text.vocabulary import CharacterVocabulary, WordVocabulary
from seqmodels.data.text.vocabulary_learning import CharacterLearner, VocabularyLearner, WordLearner
from tests.datasets import data_of, ready

SPLITS = ("train", "val", "test")


def own(path: Path, learner: VocabularyLearner | None = None, **options: Any) -> DataModule:
    options = {"cache_dir": path.parent / "cache", "bptt": 4, "batch_size": 3, **options}
    return ready(TextData, path=path, vocabulary=learner or CharacterLearner(), **options)


def read(data: DataModule, split: str) -> list[str]:
    """Return the documents of a split as text, without the edges."""
    corpus: Corpus = data.split(split).corpus
    bounds = zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
    vocabulary = data.split(split).text.vocabulary
    return [vocabulary.decode(corpus.tokens[low + 1 : high].tolist()) for low, high in bounds]


def test_a_single_text_is_cut_into_its_first_and_last_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = "".join(f"line {number}\n" for number in range(60))
    path.write_text(text)
    data = own(path)
    parts = [read(data, split) for split in SPLITS]
    assert [len(part) for part in parts] == [1, 1, 1]
    assert "".join(part[0] for part in parts) == text
    assert len(parts[0][0]) == len(text) * 9 // 10


def test_of_many_documents_each_belongs_to_one_split_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    documents = [f"{number} " * (number % 5 + 1) for number in range(45)]
    path.write_text("\n\n".join(documents))
    parts = {split: read(own(path, separator=""), split) for split in SPLITS}
    assert [len(part) for part in parts.values()] == [41, 2, 2]
    assert sorted(text.strip("\n") for part in parts.values() for text in part) == sorted(documents)
    other = {split: read(own(path, separator="", data_seed=1), split) for split in SPLITS}
    assert other != parts


def test_files_of_their_own_for_every_split_are_taken_as_they_are(tmp_path: Path) -> None:
    for name in SPLITS:
        (tmp_path / f"{name}.txt").write_text(f"{name} text, long enough")
    data = own(tmp_path / "train.txt", val_path=tmp_path / "val.txt", test_path=tmp_path / "test.txt")
    assert [read(data, split) for split in SPLITS] == [
        ["train text, long enough"],
        ["\ufffdal text, long enough"],  # v is in no training text
        ["te\ufffdt text, long enough"],
    ]


def test_a_file_for_validation_alone_leaves_no_test_and_one_for_testing_alone_does(tmp_path: Path) -> None:
    for name in SPLITS:
        (tmp_path / f"{name}.txt").write_text(f"{name} text, long enough to train with; twenty characters are not.")
    text = (tmp_path / "train.txt").read_text()
    validated = TextData(path=tmp_path / "train.txt", val_path=tmp_path / "val.txt").splits()
    assert validated.test is None
    assert list(validated.train) == [text]
    tested = TextData(path=tmp_path / "train.txt", test_path=tmp_path / "test.txt").splits()
    assert "".join([*tested.train, *tested.val]) == text
    assert tested.test is not None
    assert list(tested.test) == [(tmp_path / "test.txt").read_text()]
    prepared = TokenizedPreparation(vocabulary=CharacterLearner(), cache_dir=tmp_path).prepare(validated)
    assert prepared.splits.test is None


def test_each_line_may_be_a_document(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("".join(f"name {number}\n\n" for number in range(60)))
    data = own(path, documents="line")
    parts = [read(data, split) for split in SPLITS]
    assert [len(part) for part in parts] == [54, 3, 3]
    assert sorted(name for part in parts for name in part) == sorted(f"name {number}" for number in range(60))


def test_characters_and_unknown_tokens_of_a_text_are_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = {split: tmp_path / f"{split}.txt" for split in SPLITS}
    for split, text in {
        "train": "a cat sat here\n" * 9,
        "val": "a dog sat here",
        "test": "here a gnu sat\na fly",
    }.items():
        paths[split].write_text(text)
    caplog.set_level("INFO")
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        data = own(paths["train"], WordLearner(), val_path=paths["val"], test_path=paths["test"], batch_size=1)
        assert [tuple(data.split(split).corpus.counts) for split in SPLITS] == [(135, 0), (14, 1), (20, 2)]
        assert "val: 1 documents, 5 tokens, 20.00 % unknown" in caplog.text
        assert "val: 20.0 % of the tokens are not in the vocabulary" in caplog.text
        assert "train: 1 documents, 46 tokens, 0.00 % unknown" in caplog.text
    windows = data.test_dataloader()
    targets = 8  # six words, a line end and the end
    assert {(window.characters, window.unknown) for window in windows} == {
        (len("here a gnu sat\na fly") / targets, 2 / 8)
    }


def test_words_keep_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the cat\nsat\n\n" * 40)
    data = own(path, WordLearner(splitting="spaces"))
    assert read(data, "val")[0].startswith(("the cat\nsat\n", "sat\n", "cat\nsat\n"))
    text = data.split("train").text
    assert isinstance(text.vocabulary, WordVocabulary)


def test_tokens_are_kept_until_the_text_or_the_learner_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("some text that is long enough\n" * 9)
    first = own(path)

    def never(self: Any, texts: Any) -> Any:
        raise AssertionError("what is kept need not be learnt again")

    with monkeypatch.context() as patch:
        patch.setattr(CharacterLearner, "learn", never)
        again = own(path)
        assert again.preprocessing == first.preprocessing
        assert [read(again, split) for split in SPLITS] == [read(first, split) for split in SPLITS]
        with pytest.raises(AssertionError, match="need not be learnt"):
            own(path, CharacterLearner(lowercase=True))
        path.write_text("another text, longer than it was before\n" * 9)
        with pytest.raises(AssertionError, match="need not be learnt"):
            own(path)
    assert read(own(path), "train")[0].startswith("another text")


def test_texts_in_memory_are_tokenised_anew_each_time() -> None:
    for word in ("abba", "cadac"):
        splits = Splits(*(Documents.of([word]) for _ in SPLITS))
        prepared = TokenizedPreparation(vocabulary=CharacterLearner()).prepare(splits)
        corpus, text = prepared.splits.train.corpus, prepared.splits.train.text
        assert text.vocabulary.decode(corpus.tokens[1:-1].tolist()) == word


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("")
    with pytest.raises(ValueError, match=r"a\.txt: there is no text"):
        own(path)


@pytest.mark.parametrize("drawn", [["val"], ["val", "test"]])
def test_shares_cover_every_document_once(drawn: list[str]) -> None:
    for sizes in ([7], [0, 100, 3], list(range(40))):
        parts = shared_out(sizes, drawn, 3)
        assert {name for part in parts for name in part} == {"train", *drawn}
        pieces = [sorted(part.values()) for part in parts]
        for size, piece in zip(sizes, pieces, strict=True):
            assert piece[0][0] == 0
            assert piece[-1][1] == size
            assert all(one[1] == two[0] for one, two in pairwise(piece))


def test_a_part_of_lines_lies_between_two_characters() -> None:
    assert "".join(cut(iter(["abc\n", "de\n", "f"]), 2, 6)) == "c\nde"


@pytest.mark.parametrize(
    "text",
    [
        by_words("a b c <unk>\n b\n"),
        TextPreprocessing(vocabulary=CharacterVocabulary(["<unk>", "<eos>", *"ab \n"]), start=1, ends=True),
    ],
)
def test_the_preprocessing_is_rebuilt_from_its_node(text: TextPreprocessing) -> None:
    again = build(text.node)
    assert again.node == text.node
    for sample in ("", "a b", "a\nb \n"):
        assert torch.equal(again.prompt(sample), text.prompt(sample))


def test_a_model_of_a_single_text_is_tested_on_one_from_its_start() -> None:
    text = by_words("a b c <unk>\n b\n")
    records = [Record("new, line 1", {"text": "b a\nz"}), Record("new, line 2", {"text": "a"})]
    split = text.labelled(records[:1], [])
    assert split.corpus.tokens.tolist() == text.encode(records[0].fields).tolist()
    assert split.corpus.targets == 4
    with pytest.raises(ValueError, match="trained on a single text, the input has 2"):
        text.labelled(records, [])


def test_words_of_a_prompt_and_its_lines_are_those_of_the_text() -> None:
    text = by_words("a b c <unk>\n b\n")
    eos = text.vocabulary.eos
    a, b = (text.vocabulary.tokens.index(word) for word in "ab")
    assert text.prompt("a b\n").tolist() == [a, b, eos]
    assert text.prompt("a\nb").tolist() == [a, eos, b]
    assert text.prompt("").tolist() == [eos]
    assert text.prompt("zebra").tolist() == [text.vocabulary.unknown]


@pytest.mark.parametrize("sample", ["plain", "gr\u00fc\u00df \u20ac \U0001f600!", ""])
def test_what_is_written_piece_by_piece_is_the_text(sample: str) -> None:
    vocabulary = CharacterVocabulary(["<unk>", *sorted(set("plaingr\u00fc\u00df \u20ac\U0001f600!"))])
    text = TextPreprocessing(vocabulary=vocabulary, start=1, ends=False)
    assert "".join(text.written(text.tokens(sample), before=[1])) == sample


def test_bytes_of_a_character_are_written_when_all_are_there() -> None:
    pytest.importorskip("tokenizers")
    from seqmodels.data.text.vocabulary_learning import BPELearner

    vocabulary = BPELearner(max_size=259, eos=True).learn(["ab"])
    text = TextPreprocessing(vocabulary=vocabulary, start=2, ends=True)
    sample = "a \u20ac\U0001f600 b"
    pieces = list(text.written(text.tokens(sample)))
    assert "".join(pieces) == sample
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(text.written(text.tokens(sample)[:4])) == "a \ufffd"


def test_pythons_reference_is_parted_by_topics_that_share_no_paragraph() -> None:
    data = ready(PythonDocsData)
    parts = {split: read(data, split) for split in SPLITS}
    sizes = {split: sum(map(len, texts)) for split, texts in parts.items()}
    assert all(0.04 < sizes[split] / sum(sizes.values()) < 0.09 for split in ("val", "test"))
    paragraphs = [" ".join(p.split()) for texts in parts.values() for text in texts for p in text.split("\n\n")]
    assert len(set(paragraphs)) == len(paragraphs) > 1000
    assert data.sizes == {"vocab_size": len(data.split("train").text.vocabulary)}


def test_reviews_are_documents_without_their_labels(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("pos", "neg", "unsup"):
            folder = tmp_path / "imdb" / "aclImdb" / part / label
            folder.mkdir(parents=True)
            for number in range(10):
                (folder / f"{number}_7.txt").write_text(f"{part} {label}<br />end")
    options: dict[str, Any] = {"cache_dir": tmp_path / "cache", "batch_size": 2, "bptt": 3}
    data = data_of(IMDBTextData, data_dir=tmp_path, vocabulary=WordLearner(), **options)
    data.prepare_data()
    data.setup()
    assert sorted(read(data, "train")) == ["train neg end"] * 9 + ["train pos end"] * 9
    assert sorted(read(data, "val")) == ["train neg end", "train pos end"]
    assert len(read(data, "test")) == 20
    few = ready(IMDBTextData, data_dir=tmp_path, vocabulary=WordLearner(), max_reviews=3, **options)
    assert [few.split(split).corpus.documents for split in SPLITS] == [3, 2, 3]


def test_characters_of_the_treebank_have_no_space_but_underscores() -> None:
    text = by_characters(" a bc <unk> \n d \n", space="_")
    assert text.vocabulary.decode(text.tokens(" a bc <unk> \n d \n")) == "a_bc_<unk>\nd\n"


@pytest.mark.parametrize(
    ("make", "tokens", "vocab_size"),
    [
        (PTBData, (929589, 73760, 82430), 10000),
        (TinyShakespeareData, (1003854, 111540, 111540), 66),
    ],
)
def test_published_sets_have_the_published_numbers_of_tokens(
    make: Any, tokens: tuple[int, ...], vocab_size: int, data_dir: Path
) -> None:
    data = data_of(make, data_dir=data_dir)
    data.prepare_data()
    data.setup()
    assert tuple(len(data.split(split).corpus.tokens) for split in SPLITS) == tokens
    assert data.sizes == {"vocab_size": vocab_size}
    val = data.split("val")
    assert not (val.corpus.tokens == val.text.vocabulary.unknown).all()


def test_the_treebank_by_characters_has_the_published_number_of_them(data_dir: Path) -> None:
    data = ready(PTBData, data_dir=data_dir, level="characters")
    assert [len(data.split(split).corpus.tokens) for split in SPLITS] == [5017482, 393042, 442423]
    assert data.split("test").corpus.counts == (442423, 0)
