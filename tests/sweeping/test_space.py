"""The search space: its syntax, and the trials and grids built from it."""

from typing import Any

import optuna
import pytest

from seqmodels.config.compose import parse
from seqmodels.config.quoting import quoted
from seqmodels.errors import ConfigError
from seqmodels.sweeping.space import Space

SPACE = {
    "optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "cell": ["lstm", "gru", "elman"],
    "cell.activation": {"choices": ["tanh", "relu"], "when": {"cell": "elman"}},
    "leak": {"low": 0.0, "high": 0.5, "step": 0.25, "when": {"cell.activation": ["relu"]}},
    "logger": [["csv", "tensorboard"], None],
}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space is empty"),
        ({"lr": 3}, r"lr must be a list of choices, or .*got 3"),
        ({"lr": []}, "a list of at least one"),
        ({"lr": [1, 1]}, "has a choice twice"),
        ({"lr": {"low": 1}}, "lr must be a list of choices, or"),
        ({"lr": {"low": 2, "high": 1}}, "low must be below high, got 2 and 1"),
        ({"lr": {"low": 0, "high": 1, "log": True}}, "must lie above 0"),
        ({"lr": {"low": 1, "high": 9, "log": True, "step": 2}}, "has no step"),
        ({"lr": {"low": 16, "high": 100, "step": 16}}, "a whole number of steps"),
        ({"lr": {"low": 1, "hihg": 2}}, "no rule 'hihg'; did you mean 'high'"),
        ({"lr": {"low": "a", "high": 2}}, "lr.low must be a number, got 'a'"),
        ({"lr": {"low": float("nan"), "high": 2}}, "lr.low must be a number, got nan"),
        ({"a": {"choices": [1], "when": {"cel": 1}}, "cell": [1]}, "not a parameter of the space; did you mean 'cell'"),
        ({"a": {"choices": [1], "when": {"cell": "gur"}}, "cell": ["gru"]}, "cell=gur: that is not one of its choices"),
        ({"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}}, "form a cycle"),
    ],
)
def test_an_impossible_space_is_refused_by_name(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Space(space)


def test_a_parameter_exists_only_beside_the_choices_it_names() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=5))
    space = Space(SPACE)
    chosen = [space.suggest(study.ask()) for _ in range(60)]
    assert all(("cell.activation" in values) == (values["cell"] == "elman") for values in chosen)
    assert all(("leak" in values) == (values.get("cell.activation") == "relu") for values in chosen)
    assert {values["leak"] for values in chosen if "leak" in values} == {0.0, 0.25, 0.5}
    assert all(1e-4 <= values["optimizer.lr"] <= 1e-1 for values in chosen)


def test_the_points_that_are_checked_hold_every_choice_and_both_ends_of_every_range() -> None:
    points = list(Space(SPACE).points())
    assert {point["cell"] for point in points} == {"lstm", "gru", "elman"}
    assert {point["optimizer.lr"] for point in points} == {1e-4, 1e-1}
    assert {point["cell.activation"] for point in points if "cell.activation" in point} == {"tanh", "relu"}
    assert {point["leak"] for point in points if "leak" in point} == {0.0, 0.5}
    assert all(point["cell"] == "elman" for point in points if "cell.activation" in point)


def test_a_grid_holds_every_combination_that_exists_once() -> None:
    space = Space({**SPACE, "optimizer.lr": [0.1, 0.01]})
    grid = space.grid()
    assert len(grid) == len({str(sorted(point.items(), key=str)) for point in grid})
    assert len(grid) == 2 * 2 * (1 + 1 + (1 + 3))  # lr, logger, cell: elman with tanh, or relu with three leaks
    with pytest.raises(ConfigError, match=r"every value of optimizer\.lr"):
        Space(SPACE).grid()


def test_keys_may_be_dotted_or_nested_and_null_takes_one_away() -> None:
    nested = Space({"optimizer": {"lr": {"low": 1, "high": 4}}, "cell": None})
    assert [parameter.key for parameter in nested.parameters] == ["optimizer.lr"]
    assert Space({"optimizer.lr": {"low": 1, "high": 4}}).grid() == [{"optimizer.lr": n} for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "value",
    [
        3,
        0.1,
        1e-07,
        True,
        None,
        "lstm",
        "a b, c",
        "it's",
        "back\\slash",
        "true",
        "1e3",
        "12",
        ["a", "b c"],
        {"a": [1, None]},
    ],
    ids=repr,
)
def test_a_value_is_read_back_from_the_command_line_as_itself(value: Any) -> None:
    (override,) = parse([f"key={quoted(value)}"])
    assert override.value() == value
    assert type(override.value()) is type(value) or isinstance(value, str)


def test_a_choice_that_is_no_scalar_comes_back_as_it_was_written() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    space = Space({"logger": [["csv", "tensorboard"], None], "flag": [True, 1]})
    lines = [tuple(space.overrides(space.suggest(study.ask()))) for _ in range(30)]
    assert {line for line, _ in lines} == {"logger=[csv,tensorboard]", "logger=null"}
