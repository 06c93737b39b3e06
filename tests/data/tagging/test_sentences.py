"""Tagged sentences from files to batches."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.data import (
    CharacterVocabulary,
    Loading,
    Splits,
    TagDataset,
    TaggedSentences,
    TagPreparation,
    TagPreprocessing,
    WordLearner,
    load,
)
from seqmodels.data.formats.records import Record
from seqmodels.data.tagging.preprocessing import LETTERS

LEARNER = WordLearner(splitting="spaces")


def sentences(*texts: str, place: str = "a.conll") -> TaggedSentences:
    """Sentences from texts like ``the/DET cat/NOUN``, each beginning at a line of its own."""
    pairs = [[word.rsplit("/", 1) for word in text.split()] for text in texts]
    fields = [{"tokens": [word for word, _ in row], "tags": [tag for _, tag in row]} for row in pairs]
    return TaggedSentences.of(Record(f"{place}, line {10 * number}", row) for number, row in enumerate(fields, start=1))


TRAIN = sentences("The/DET cat/NOUN sat/VERB", "the/DET dog/NOUN ran/VERB")


def prepared(*others: TaggedSentences) -> Any:
    return TagPreparation(vocabulary=LEARNER).prepare(Splits(TRAIN, *(others or (TRAIN,))))


def test_words_are_numbered_and_spelled_out_once_a_batch() -> None:
    done = prepared()
    assert done.sizes == {
        "vocab_size": 2 + 5,
        "character_vocab_size": 2 + 12,
        "output_size": 3,
        "tag_names": ["DET", "NOUN", "VERB"],
    }
    batch = done.splits.train.__getitems__([0, 1])
    assert batch.targets.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert batch.inputs.tokens[0, 0] == batch.inputs.tokens[1, 0], "capital letters are not told apart among words"
    assert batch.inputs.spelling[0, 0] != batch.inputs.spelling[1, 0], "but by their characters they are"
    assert len(batch.inputs.letters) == 6
    assert batch.inputs.letter_lengths.tolist() == [3] * 6


def test_a_word_with_spaces_is_learnt_as_a_whole() -> None:
    fields = {"tokens": ["10 000", "new\u00a0york", "10"], "tags": ["NUM", "X", "NUM"]}
    part = TaggedSentences.of([Record("line 1", fields), Record("line 5", fields)])
    done = TagPreparation(vocabulary=LEARNER).prepare(Splits(part, part))
    assert done.sizes["vocab_size"] == 2 + 3
    assert sorted(done.splits.train.__getitems__([0]).inputs.tokens[0].tolist()) == [2, 3, 4]


def test_a_sentence_in_a_batch_is_as_alone() -> None:
    part = sentences("The/DET cat/NOUN sat/VERB", "ran/VERB", "hippopotamus/NOUN")
    split = prepared(part).splits.val
    batch = split.__getitems__([2, 1, 0])
    assert batch.lengths.tolist() == [1, 1, 3]
    for number, row in enumerate([2, 1, 0]):
        alone, length = split[row], int(split.lengths[row])
        assert batch.inputs.tokens[number, :length].equal(alone.inputs.tokens)
        assert batch.targets[number, :length].equal(alone.targets)
        for step in range(length):
            mine, other = batch.inputs.spelling[number, step], alone.inputs.spelling[step]
            size = int(alone.inputs.letter_lengths[other])
            assert int(batch.inputs.letter_lengths[mine]) == size
            assert batch.inputs.letters[mine, :size].equal(alone.inputs.letters[other, :size])
        assert split.words(row) == part.tokens[row]


def test_splits_are_joined_with_the_spelling_of_each() -> None:
    splits = prepared(sentences("a/DET hippopotamus/NOUN")).splits
    joined = splits.train.joined([splits.val])
    assert len(joined) == 3
    assert joined.words(2) == ["a", "hippopotamus"]
    assert joined[2].inputs.letters.equal(splits.val[0].inputs.letters)


def test_unknown_words_and_characters_are_read_as_such_and_long_words_by_their_ends() -> None:
    fitted: TagPreprocessing = TagPreprocessing(
        vocabulary=LEARNER.learn(["the cat"]), characters=CharacterVocabulary(["<pad>", "<unk>", "a", "b"])
    )
    long = "a" * LETTERS + "b" * LETTERS
    batch = fitted.collate([["the", "Ω", long]])
    assert batch.inputs.tokens[0, 1:].tolist() == [1, 1]
    assert batch.inputs.letters[1, 0] == 1
    assert batch.inputs.letters[2].tolist() == [2] * (LETTERS // 2) + [3] * (LETTERS // 2)


def test_a_tag_that_only_other_splits_have_is_a_tag_and_a_warning_says_where(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "seqmodels"):
        done = prepared(TRAIN, sentences("cat/NOUN", "oh/INTJ", "ah/INTJ", place="test.conll"))
    assert done.class_names == ("DET", "INTJ", "NOUN", "VERB")
    assert caplog.messages == [
        "tags that do not occur in the train split, and so are never learnt: 'INTJ' (test.conll, line 20)"
    ]


def test_a_tag_of_a_new_file_that_training_did_not_know_names_the_place() -> None:
    preprocessing = TagPreprocessing(
        vocabulary=LEARNER.learn(["the"]), characters=CharacterVocabulary(["<pad>", "<unk>", "t"])
    )
    records = [Record("new.conll, line 4", {"tokens": ["oh", "the"], "tags": ["INTJ", "DET"]})]
    with pytest.raises(ValueError, match=r"labels that .*: 'INTJ' \(new.conll, line 4, token 1 'oh'\); there: DET"):
        preprocessing.labelled(records, ("DET", "NOUN"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tokens": ["a"]}, r"a, line 3: there is not a tag for each token: a column of tags \(data.tag\) or a field"),
        ({"tokens": ["a", "b"], "tags": ["X"]}, "there must be a tag for each token, got 1 tags for 2 tokens"),
        ({"tokens": ["a"], "tags": "X"}, "tags must be a list of texts, got 'X'"),
        (
            {"tokens": ["a", ""], "tags": ["X", "X"]},
            "tokens must be a list of texts that are not empty, number 2",
        ),
        ({"tokens": [], "tags": []}, "tokens: there is no token to read"),
        ({"words": ["a"]}, "there is no field 'tokens', a list of texts; the record has words"),
    ],
)
def test_a_record_that_is_no_tagged_sentence_is_named(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TaggedSentences.of([Record("a, line 3", fields)])


def test_a_vocabulary_that_would_split_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="choose vocabulary=token"):
        TagPreparation(vocabulary=WordLearner())


def test_own_files_are_split_by_sentence_and_an_empty_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.conll"
    path.write_text("the DET\ncat NOUN\n\n" * 20)
    train, val, test = load("tags", path=path, val_share=0.2)
    assert test is not None
    assert (len(train.tokens), len(val.tokens), len(test.tokens)) == (14, 4, 2)
    assert len({*train.places, *val.places, *test.places}) == 20
    path.write_text("\n-DOCSTART- O\n\n")
    with pytest.raises(ValueError, match=r"my.conll has no sentences: it is empty"):
        load("tags", path=path)
    path.write_text("the DET\ncat\n")
    with pytest.raises(ValueError, match=r"my.conll, line 2: 1 columns, line 1 has 2"):
        load("tags", path=path)


def test_the_english_web_treebank_has_its_published_sizes(data_dir: Path) -> None:
    splits: Any = load("ud_ewt", data_dir=data_dir)
    assert [len(part.tokens) for part in splits] == [12544, 2001, 2077]
    assert [sum(len(row) for row in part.tokens) for part in splits] == [204577, 25147, 25094]
    assert len({tag for tags in splits.train.tags for tag in tags}) == 17
    assert splits.train.places[0] == "en_ewt-ud-train.conllu, line 5"


def test_a_split_without_sentences_is_refused() -> None:
    empty = TagDataset([], [], [], [], [])
    with pytest.raises(ValueError, match="the val split is empty"):
        empty.check("val", "tagging", {}, Loading())


def test_lengths_are_those_of_sentences() -> None:
    assert prepared().splits.train.lengths.equal(torch.tensor([3, 3]))
