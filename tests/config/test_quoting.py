"""Paths and names of columns on the command line mean what is typed, whatever characters are in them."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from seqmodels.config.compose import compose, parse
from seqmodels.config.quoting import literal_values, quoted, quoted_for_shell
from seqmodels.errors import ConfigError
from tests.conftest import Answer
from tests.test_cli import TINY, Command

NAMES = [
    "data (1).csv",
    "数据.csv",
    "date=2020-01-01.csv",
    "it's.csv",
    "a#b.csv",
    "a, b",
    "[a]b",
    '"a"b',
    "{x}",
    "1",
    "é",
]
NAMES += ["&;!~ $x %d @a", "back\\slash", "end\\", "\\'", "true", "~/a", "123", "0"]
STRANGE = "a (b) [c] {d}, e=f #'\"&;!~ é数"


@pytest.mark.parametrize("name", NAMES)
def test_a_text_in_quotes_is_read_back_as_it_was(name: str) -> None:
    for token in (f"data.path={quoted(name)}", *shlex.split(quoted_for_shell("data.path", name))):
        assert OverridesParser.create().parse_override(token).value() == name


@pytest.mark.parametrize("name", [name for name in NAMES if name[0] not in "'\""])
@pytest.mark.parametrize("key", ["run", "input", "data.path", "hydra.run.dir", "+data.test_path"])
def test_a_path_is_taken_as_it_is_typed(key: str, name: str) -> None:
    (override,) = parse(literal_values([f"{key}={name}"]))
    assert override.value() == name


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("data.target=T (degC)", "T (degC)"),
        ("data.target=wd, (deg)", "wd, (deg)"),
        ("data.target=1", 1),
        ("data.target=[a,b]", ["a", "b"]),
        ("data.features=[T (degC), p=2,0]", ["T (degC)", "p=2", 0]),
        ("data.features=['wd, (deg)',\"x\"]", ["wd, (deg)", "x"]),
        ("data.features=[]", []),
        ("data.delimiter=;", ";"),
        ("data.delimiter=,", ","),
        ("data.val_path=null", None),
        ("data.path=${oc.env:HOME}/a", "${oc.env:HOME}/a"),
        ("hydra.searchpath=[file:///my (configs)]", ["file:///my (configs)"]),
        ("data.path=", ""),
    ],
)
def test_columns_may_be_numbers_or_lists_and_quotes_null_and_interpolations_keep_their_meaning(
    token: str, value: object
) -> None:
    (override,) = parse(literal_values([token]))
    assert override.value() == value


@pytest.mark.parametrize(
    ("token", "values"),
    [
        ("data.path=a (1).csv,b.csv", ["'a (1).csv'", "b.csv"]),
        ("data.target=[a,b],[c]", ["[a,b]", "[c]"]),
        ("data.path='a, b',c", ["'a, b'", "c"]),
        ("data.target=choice(a,b)", ["a", "b"]),
    ],
)
def test_with_m_commas_separate_the_values_of_a_key_of_data(token: str, values: list[str]) -> None:
    (override,) = parse(literal_values(["-m", token])[1:])
    assert [str(value) for value in override.sweep_string_iterator()] == values


def test_other_values_that_cannot_be_read_are_answered_with_the_override_to_type() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(["logger.wandb.project=it's (1)"])
    typed = str(refused.value).partition("quote it, ")[2]
    assert parse(shlex.split(typed))[0].value() == "it's (1)"


@pytest.mark.parametrize("override", ["trainer.devices=auto", "trainer.deterministic=warn", "data.delimiter=null"])
def test_a_value_of_another_type_than_the_default_is_taken_where_its_target_takes_it(override: str) -> None:
    key, _, value = override.partition("=")
    config = compose("train", ["data=text_csv", override])
    assert str(config[key.split(".")[0]][key.split(".")[1]]).lower().replace("none", "null") == value


def test_a_text_replaces_a_number_of_an_experiment_or_of_an_earlier_override(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults:\n- override /data: csv_series\nname: 2024\n"
    (tmp_path / "experiment" / "e.yaml").write_text(text + "data: {header: false, time: 0, target: 1}\n")
    named = ["data.header=true", "data.time=date", "name=mine"]
    config = compose("train", ["experiment=e", *named, "data.target=2", "data.target=y"], str(tmp_path))
    assert (config.data.time, config.data.target, config.name) == ("date", "y", "mine")


@pytest.mark.long
def test_every_command_works_in_a_folder_of_any_name(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / STRANGE).mkdir()
    monkeypatch.chdir(folder)
    parity = ["data=parity", "data.train_rows=32", "data.val_rows=16", "data.test_rows=16", "logger=csv", *TINY]

    def succeeds(*tokens: str) -> Answer:
        answer = command(*tokens)
        assert answer.status == 0, answer.err
        return answer

    succeeds("train", *parity, f"hydra.run.dir={STRANGE}", "data.data_seed=3")
    again = succeeds("evaluate", f"run={STRANGE}")
    assert f"run folder: {folder / STRANGE / 'evaluations'}" in again.out
    succeeds("train", f"resume={STRANGE}", "trainer.max_epochs=2")
    succeeds("train", "-m", *parity, "seed=3,5", "hydra.sweep.dir=jobs")
    monkeypatch.chdir(folder / "jobs")
    succeeds("evaluate", "run=0")
