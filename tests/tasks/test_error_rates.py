"""Metrics of written texts, against brute force, sacrebleu and numbers computed by hand."""

import random
from functools import cache

import pytest

from seqmodels.tasks.metrics.error_rates import edit_distance, error_rate, errors_of
from seqmodels.tasks.texts import metrics
from seqmodels.tasks.texts.metrics import Output, metrics_of, rouge_l


def by_recursion(first: str, second: str) -> int:
    @cache
    def distance(left: int, right: int) -> int:
        if not left or not right:
            return left + right
        same = distance(left - 1, right - 1) + (first[left - 1] != second[right - 1])
        return min(same, distance(left - 1, right) + 1, distance(left, right - 1) + 1)

    return distance(len(first), len(second))


def test_edit_distance_is_that_of_its_recursion() -> None:
    draw = random.Random(3)
    for _ in range(200):
        first, second = ("".join(draw.choices("abc", k=draw.randrange(8))) for _ in range(2))
        assert edit_distance(first, second) == by_recursion(first, second)


def test_errors_are_those_of_the_nearest_reference() -> None:
    assert errors_of("a b c", ["x y z", "a b", "a b c d"], "words") == (1, 4)
    assert errors_of("HH AH", ["HH AH L", "HH AO"], "phonemes") == (1, 3)
    assert errors_of("", ["ab", "abc"], "characters") == (3, 3)
    assert errors_of("a", [""], "characters") == (1, 0)


def test_a_rate_counts_all_errors_over_all_units() -> None:
    assert error_rate(["a b c d", "e"], [["a b c x"], ["e", "f"]], "words") == 1 / 5
    assert error_rate(["ab", "c"], [["ab"], ["d"]], "characters") == 1 / 3
    with pytest.raises(ValueError, match="outputs must hold at least one text"):
        error_rate([], [], "words")
    with pytest.raises(ValueError, match="references must hold at least one text"):
        error_rate(["a"], [[]], "words")
    with pytest.raises(ValueError, match="unit must be one of words, phonemes, characters, got 'letters'"):
        error_rate(["a"], [["a"]], "letters")


def test_a_word_is_wrong_with_any_wrong_phoneme() -> None:
    outputs = [Output("a", ("A B C", "A B"), "A B"), Output("b", ("C D",), "C E"), Output("c", ("C D",), "D")]
    found = {name: metric(outputs) for name, metric in metrics_of(None, "phonemes").items()}
    assert found == {"per": 2 / 6, "wer": pytest.approx(2 / 3), "exact_match": pytest.approx(1 / 3)}


def test_rouge_is_the_harmonic_mean_of_precision_and_recall_of_the_longest_common_words() -> None:
    # police kill the gunman / police killed the gunman: 3 of 4 words; the gunman kill police: 2 of 4 (Lin, 2004)
    reference = ("Police killed the gunman.",)
    assert rouge_l([Output("", reference, "police kill the gunman")]) == 0.75
    assert rouge_l([Output("", reference, "the gunman kill police")]) == 0.5
    assert rouge_l([Output("", ("x", "a b"), "a b"), Output("", ("a",), "")]) == 0.5


def test_bleu_and_chrf_are_those_of_sacrebleu_with_its_signature(caplog: pytest.LogCaptureFixture) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    caplog.set_level("INFO")
    outputs = [
        Output("", ("A man sleeps on the bench.", "A man is asleep on a bench."), "a man is sleeping on the bench ."),
        Output("", ("Two dogs run in the grass.",), "two dogs run through grass ."),
    ]
    found = {name: metric(outputs) for name, metric in metrics_of(["bleu", "chrf"], "words", lowercase=True).items()}
    streams = [["A man sleeps on the bench.", "Two dogs run in the grass."], ["A man is asleep on a bench.", None]]
    texts = [output.output for output in outputs]
    assert found["bleu"] == sacrebleu.corpus_bleu(texts, streams, lowercase=True).score
    assert 20 < found["bleu"] < found["chrf"] < 90
    assert "case:lc" in caplog.text
    assert f"version:{sacrebleu.__version__}" in caplog.text


def test_bleu_without_its_package_is_left_out_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda _: None)
    assert list(metrics_of(None, "words")) == ["rouge_l", "wer", "cer", "exact_match"]
    with pytest.raises(ImportError, match=r"bleu needs the package sacrebleu: pip install 'seqmodels\[translation\]'"):
        metrics_of(["bleu"], "words")
    with pytest.raises(ValueError, match=r"metrics must be among bleu, .*, got 'meteor'"):
        metrics_of(["meteor"], "words")
