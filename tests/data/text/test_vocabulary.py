"""Vocabularies: every text comes back, nothing is read as a special token, JSON rebuilds them."""

import json
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.config.build import build
from seqmodels.data.text.vocabulary import EOS, PAD, UNK, CharacterVocabulary, Vocabulary, WordVocabulary, split_words
from seqmodels.data.text.vocabulary_learning import BPELearner, CharacterLearner, VocabularyLearner, WordLearner

QUICK = settings(max_examples=50, deadline=None)
TRICKY = [
    "e\u0301 and \u00e9",  # decomposed and composed
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",  # right to left
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",  # joined emoji
    "lone \ud800 surrogate",
    "\ufeffmark\r\nline\0nul\u2028",
    "<pad> <unk> <eos>",
    "\u0130stanbul \u212aelvin STRASSE \u1e9e",
]
any_text = st.text() | st.sampled_from(TRICKY) | st.text(st.characters(min_codepoint=0x300, max_codepoint=0x36F))
options = st.fixed_dictionaries(
    {"normalization": st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"]), "lowercase": st.booleans()}
)
BPE = BPELearner(max_size=300, eos=True).learn(["a few words, a few more words"])
LEARNERS: list[Callable[[], VocabularyLearner]] = [
    CharacterLearner,
    lambda: WordLearner(splitting="spaces", eos=True),
    lambda: BPELearner(max_size=270),
]


@given(any_text, options)
@QUICK
def test_any_text_comes_back_from_the_characters_that_it_is_made_of(text: str, given_options: dict) -> None:
    vocabulary = CharacterLearner(**given_options).learn([text, "x"])
    assert vocabulary.decode(vocabulary.encode(text)) == vocabulary.normalize(text)
    assert vocabulary.unknown not in vocabulary.encode(text)


@given(any_text)
@QUICK
def test_any_text_comes_back_from_byte_pairs_that_never_saw_it(text: str) -> None:
    tokens = BPE.encode(text)
    assert BPE.decode(tokens) == BPE.normalize(text)
    assert min(tokens, default=3) >= 3, "a text was read as a special token"


@given(any_text, options)
@QUICK
def test_words_come_back_one_space_apart(text: str, given_options: dict) -> None:
    vocabulary = WordLearner(splitting="spaces", **given_options).learn([text, "x"])
    words = vocabulary.split(text)
    if not {PAD, UNK} & set(words):
        assert vocabulary.decode(vocabulary.encode(text)) == " ".join(words)


@given(st.text(st.characters(max_codepoint=127)))
@QUICK
def test_ascii_is_split_as_any_other_text_is(text: str) -> None:
    assert split_words(f"{text} \u00e9", "words") == [*split_words(text, "words"), "\u00e9"]


@given(any_text)
@QUICK
def test_a_normal_form_is_that_of_unicode_and_has_no_lone_surrogate(text: str) -> None:
    found = CharacterVocabulary([UNK], normalization="NFC").normalize(text)
    assert found == unicodedata.normalize("NFC", found)
    found.encode("utf-8")


@pytest.mark.parametrize("learner", LEARNERS)
def test_json_rebuilds_a_vocabulary(learner: Callable[[], VocabularyLearner]) -> None:
    vocabulary = learner().learn(["Some words some \u00e9\U0001f600", "and \ud800 others <eos>"])
    again: Vocabulary = build(json.loads(json.dumps(vocabulary.node)))
    assert type(again) is type(vocabulary)
    assert again.node == vocabulary.node
    assert [again.encode(text) for text in TRICKY] == [vocabulary.encode(text) for text in TRICKY]
    assert (again.unknown, again.eos, len(again)) == (vocabulary.unknown, vocabulary.eos, len(vocabulary))


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_texts_give_the_same_vocabulary_whatever_their_order(learner: Callable[[], VocabularyLearner]) -> None:
    texts = ["b a c", "c b", "d a b"]
    assert learner().learn(texts).node == learner().learn(reversed(texts)).node


def test_frequent_words_come_first_and_rare_ones_are_unknown() -> None:
    vocabulary = WordLearner(min_frequency=2).learn(["b b a, A b", "a c it's it's"])
    assert vocabulary.tokens == (PAD, UNK, "a", "b", "it's")
    assert vocabulary.encode("B c a") == [3, 1, 2]
    assert vocabulary.decode([3, 1, 0, 2]) == "b <unk> a"
    assert WordLearner(max_size=3).learn(["b a b"]).tokens == (PAD, UNK, "b")


def test_nothing_in_a_text_of_characters_is_a_special_token() -> None:
    vocabulary = CharacterLearner(eos=True).learn(["<pad><eos>"])
    assert min(vocabulary.encode("<pad><eos>")) >= 3
    assert vocabulary.decode([0, 2, 1]) == "\n\ufffd"
    assert vocabulary.encode("?") == [1]


def test_a_word_that_looks_like_padding_is_unknown() -> None:
    vocabulary = WordVocabulary([PAD, UNK, EOS, "a"], splitting="spaces")
    assert vocabulary.encode("<pad> <eos> <unk> a") == [1, 1, 1, 3]
    assert vocabulary.decode([3, 2, 3]) == "a\na"


def test_words_of_scripts_with_marks_and_joiners_stay_whole() -> None:
    text = "\u0928\u092e\u0938\u094d\u0924\u0947 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645!"
    assert split_words(text, "words") == [*text[:-1].split(" "), "!"]


def test_ascii_folding_takes_marks_from_letters() -> None:
    vocabulary = CharacterLearner(normalization="ASCII").learn(["abc"])
    assert vocabulary.normalize("\u015alus\u00e0rski O'N\u00e9\u00e0l") == "Slusarski O'Neal"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CharacterVocabulary(["a", "b"]), "tokens must have <unk>"),
        (lambda: CharacterVocabulary([UNK, "ab"]), "single characters, got 'ab'"),
        (lambda: WordVocabulary([UNK, "a", "a"]), "got 'a' twice"),
        (lambda: WordVocabulary([UNK, PAD, "a"]), "<pad> before all"),
        (lambda: WordVocabulary([UNK], splitting="letters"), "splitting must be one of words, spaces, got 'letters'"),  # type: ignore[arg-type]
        (lambda: WordLearner(normalization="NFX"), "normalization must be one of NFC"),  # type: ignore[arg-type]
        (lambda: WordLearner(min_frequency=0), "min_frequency must be at least 1, got 0"),
        (lambda: CharacterLearner(max_size=2), "max_size must be more than the 2 special tokens, got 2"),
        (lambda: BPELearner(max_size=200), "max_size must be at least 258"),
        (lambda: WordLearner(min_frequency=3).learn(["a a"]), "no token occurs 3 times"),
        (lambda: CharacterLearner().learn([]), "no token occurs"),
        (lambda: BPE.decode([999]), r"a token must be 0 to \d+, got 999"),
    ],
)
def test_what_cannot_be_a_vocabulary_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
