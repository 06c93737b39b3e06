"""Estimators: what scikit-learn expects of them, and the same models as the command line trains."""

import sys
from datetime import date, timedelta
from importlib import reload
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

import seqmodels
from seqmodels.errors import ConfigError
from seqmodels.estimators import Classifier, Forecaster, LanguageModel, Regressor, Tagger, Translator, base
from seqmodels.training.fit import train
from tests.composing import composed

SMALL: dict[str, Any] = {"cell": "gru", "hidden_size": 5, "epochs": 1, "overrides": ("trainer=cpu",)}
TEXTS = ["good film", "bad film", "good plot indeed", "bad bad plot"] * 6
CLASSES = ["pos", "neg"] * 12
SERIES = [np.sin(np.arange(3 + row % 5)[:, None] * (1 + row % 2) + np.arange(2)) for row in range(24)]
MIXED: list[Any] = ["a", 3]
DAYS = [date(2024, 1, 1) + timedelta(days) for days in range(61)]
FRAME: dict[str, list[Any]] = {"day": DAYS, "sales": [10 + day % 7 + day / 9 for day in range(61)], "note": ["x"] * 61}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A classifier that keeps its run."""
    return Classifier(**SMALL, run_dir=tmp_path_factory.mktemp("kept") / "run").fit(TEXTS, CLASSES)


def test_options_are_read_set_and_cloned() -> None:
    estimator = Forecaster(cell="gru", hidden_size=64, group=("shop",))
    options = estimator.get_params()
    assert (options["hidden_size"], options["group"], options["seed"]) == (64, ("shop",), 1)
    assert clone(estimator).set_params(depth=2).get_params() == {**options, "depth": 2}
    with pytest.raises(ValueError, match="hiden_size"):
        estimator.set_params(hiden_size=3)


def test_it_is_the_model_that_the_command_trains(classifier: Classifier, tmp_path: Path) -> None:
    assert classifier.run_dir is not None
    table = Path(classifier.run_dir) / "data" / "train.csv"
    own = ["cell=gru", "cell.hidden_size=5", "trainer.max_epochs=1", "trainer=cpu", "logger=none"]
    train(composed(tmp_path, "data=text_csv", f"data.path='{table}'", "data.test_share=0", "test=false", *own))
    expected = seqmodels.load(tmp_path, ckpt="best").predict(TEXTS)
    assert classifier.model_.predict(TEXTS) == expected
    assert seqmodels.load(classifier.run_dir).predict(TEXTS) == expected
    found = classifier.predict_proba(TEXTS)
    assert found[:, 1].tolist() == [prediction.probabilities["pos"] for prediction in expected]
    assert classifier.predict(TEXTS).tolist() == [prediction.label for prediction in expected]
    assert "val/loss" in classifier.metrics_


def test_a_folder_that_holds_a_run_is_left_alone(classifier: Classifier) -> None:
    with pytest.raises(ConfigError, match="already holds another run"):
        clone(classifier).fit(TEXTS, CLASSES)


def test_without_a_folder_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    estimator = Regressor(**SMALL).fit(SERIES, np.arange(48.0).reshape(24, 2))
    assert estimator.predict(SERIES[:3]).shape == (3, 2)
    assert not list(tmp_path.iterdir())


def test_it_is_validated_as_any_estimator() -> None:
    targets = np.array([int(series[1, 0] > 0.9) for series in SERIES])
    scores = cross_val_score(Classifier(**SMALL), SERIES, targets, cv=2)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_classes_keep_their_kind_and_arrays_may_be_one() -> None:
    estimator = Classifier(**SMALL).fit(np.stack([series[:3] for series in SERIES]), [3, 11] * 12)
    assert estimator.classes_.tolist() == [3, 11]
    assert set(estimator.predict(np.zeros((2, 3, 2))).tolist()) <= {3, 11}


def test_a_table_is_forecast_from_its_end() -> None:
    estimator = Forecaster(**SMALL, input_length=7).fit(FRAME, horizon=3)
    (forecast,) = estimator.predict()
    assert forecast.times == ["2024-03-02", "2024-03-03", "2024-03-04"]
    values = forecast.values["sales"]
    for low, value, high in zip(*(values[kind] for kind in ("low", "forecast", "high")), strict=True):
        assert low <= value <= high
    (earlier,) = estimator.predict({name: column[:-3] for name, column in FRAME.items()})
    assert earlier.times == ["2024-02-28", "2024-02-29", "2024-03-01"]


def test_a_forecaster_is_scored_by_the_end_of_a_table() -> None:
    days = [*DAYS, *DAYS]
    sales = [10 + (row * 7 % 5) for row in range(2 * len(DAYS))]
    frame: dict[str, list[Any]] = {"day": days, "shop": [3] * len(DAYS) + [5] * len(DAYS), "sales": sales}
    estimator = Forecaster(**SMALL, input_length=7, group="shop").fit(frame, horizon=3)
    found = {
        forecast.group["shop"]: forecast.values["sales"]["forecast"]
        for forecast in estimator.predict({name: cells[:58] + cells[61:-3] for name, cells in frame.items()})
    }
    errors = []
    for shop, values in ((3, sales[:61]), (5, sales[61:])):
        change = sum(abs(b - a) for a, b in pairwise(values[:58])) / 57
        errors += [abs(f - y) / change for f, y in zip(found[str(shop)], values[-3:], strict=True)]
    assert estimator.score(frame) == pytest.approx(-sum(errors) / 6)
    with pytest.raises(ValueError, match=r"at least 5 rows of 5, .* got 4"):
        estimator.score({name: cells[:65] for name, cells in frame.items()})
    with pytest.raises(ValueError, match="needs the columns sales"):
        estimator.score({"day": days, "shop": frame["shop"]})


def test_a_series_is_cross_validated_in_the_order_of_time() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    frame = pyarrow.table(FRAME)
    scores = cross_val_score(
        Forecaster(**SMALL, input_length=7), frame, cv=TimeSeriesSplit(2, test_size=12), params={"horizon": 3}
    )
    assert scores.shape == (2,)
    assert (scores < 0).all()


def test_columns_may_have_any_name() -> None:
    names = {"day": "when, exactly", "sales": "sales [EUR], 'net'", "note": "2024"}
    frame = {names[name]: column for name, column in FRAME.items()}
    estimator = Forecaster(**SMALL, input_length=7, target=names["sales"], group=names["note"])
    (forecast,) = estimator.fit(frame, horizon=3).predict()
    assert [*forecast.values] == [names["sales"]]
    assert forecast.times == ["2024-03-02", "2024-03-03", "2024-03-04"]


def test_texts_are_written_scored_tagged_and_translated() -> None:
    model = LanguageModel(**SMALL).fit(["the cat sat on the mat", "the dog ran"] * 30)
    assert model.generate("the ", length=5).startswith("the ")
    assert model.score(["the cat"]) < 0
    tokens = [text.split() for text in TEXTS]
    tags = [["A" if len(word) > 3 else "B" for word in words] for words in tokens]
    tagger = Tagger(**SMALL).fit(tokens, tags)
    assert [len(row) for row in tagger.predict(tokens[:3])] == [len(row) for row in tokens[:3]]
    assert 0 <= tagger.score(tokens, tags) <= 1
    translator = Translator(**{**SMALL, "overrides": ("task.metrics=[wer]",)}).fit(TEXTS, TEXTS)
    assert all(isinstance(text, str) for text in translator.predict(TEXTS[:3]))
    assert 0 <= translator.score(TEXTS[:3], TEXTS[:3]) <= 1


@pytest.mark.parametrize(
    ("rows", "y", "reason"),
    [
        (["a", "b"], [1], "as many rows of each, got 2 of X and 1 of y"),
        ([], [], "X has no rows"),
        ("text", [1], "X must be a list of texts or arrays, got str"),
        (["a", np.zeros((2, 1))], [0, 1], "row 0 of X must be an array of numbers .* got a text"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], [0, 1], "row 1 of X has 4 channels, row 0 has 3"),
        ([np.zeros((2, 3, 4))], [0], r"row 0 of X must have shape \(time, channels\)"),
        (["a", "b"], [[1], [2]], r"y must have shape \(rows,\), a class each, got \(2, 1\)"),
        ({"a": 1}, [0], "X must be a list of texts or arrays, got dict"),
    ],
    ids=str,
)
def test_what_cannot_be_learnt_from_is_named_before_anything_is_trained(rows: Any, y: Any, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        Classifier().fit(rows, y)


@pytest.mark.parametrize(
    ("fit", "reason"),
    [
        (lambda: Tagger().fit([["a", "b"]], [["A"]]), "row 0 has 2 tokens and 1 tags"),
        (lambda: LanguageModel().fit(MIXED), "row 1 of texts must be a text, got int"),
        (lambda: Translator().fit(["a"], "b"), "y must be a list of texts, got str"),
        (lambda: Forecaster().fit([1, 2], horizon=3), "frame must be a table"),
        (lambda: Forecaster().fit({"a": [1], "b": []}, horizon=3), "as long as each other, got a 1, b 0"),
        (lambda: Classifier(cell="gro").fit(["a", "b"], [0, 1]), "cell=gro: no such option; did you mean 'gru'"),
    ],
)
def test_a_mistake_is_named(fit: Any, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        fit()


def test_a_model_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError, match="this Classifier is not fitted: call fit first"):
        Classifier().predict(["a"])


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ImportError, match=r"pip install 'seqmodels\[sklearn\]'"):
        reload(base)
