"""Values that a configuration reads from the environment are in no file and no message."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from seqmodels.config.variables import concealed, environment_unresolved, track_environment
from seqmodels.training.runs import resolved_config
from tests.conftest import Answer

SECRET = "hunter2-is-no-password"
TINY = ["data=digits", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "cell.hidden_size=3", "trainer=cpu"]
TINY += ["trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "trainer.log_every_n_steps=1"]
NOTIFY = """
from lightning.pytorch import Callback


class Notify(Callback):
    def __init__(self, key, more):
        assert (key, more) == ({secret!r}, [{{'url': 'https://x:{secret}@y'}}]), 'the value is there where it is used'
"""
USES = [
    "+callbacks.notify={_target_: notify.Notify, key: '${oc.env:TOKEN}', more: [{url: 'https://x:${spare}@y'}]}",
    "+spare='${ oc.env : TOKEN }'",
    "+other='${oc.decode:${oc.env:TOKEN}}'",
    "+third='${oc.select:callbacks.notify.key}'",
]


@pytest.fixture(autouse=True)
def _resolvers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TOKEN", SECRET)
    yield
    track_environment()


@pytest.fixture
def called(command: Callable[..., Answer], tmp_path: Path) -> Callable[..., Answer]:
    """The command beside a callback that is given the secret, and that is gone afterwards."""

    def call(*tokens: str) -> Answer:
        (tmp_path / "notify.py").write_text(NOTIFY.format(secret=SECRET), encoding="utf-8")
        done = command(*tokens, SEQMODELS_ALLOW="notify.*")
        (tmp_path / "notify.py").unlink()
        return done

    return call


def holding(folder: Path) -> list[str]:
    """Return all files that contain the secret."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) > 3, "there was something to search"
    return [str(path) for path in files if SECRET.encode() in path.read_bytes()]


def test_no_file_of_a_run_holds_what_it_read_from_the_environment(
    called: Callable[..., Answer], tmp_path: Path
) -> None:
    done = called("train", *TINY, *USES, "logger=[csv,tensorboard]")
    assert done.status == 0, done.err[-2000:]
    assert holding(tmp_path) == []
    assert SECRET not in done.out + done.err
    (config,) = tmp_path.glob("logs/*/*/config.yaml")
    saved = OmegaConf.load(config)
    assert (saved.spare, saved.third, saved.other) == (SECRET, SECRET, SECRET), "it is read again where it is used"


def test_neither_a_message_nor_the_log_of_a_run_that_fails_holds_it(
    called: Callable[..., Answer], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()  # so that the log is kept
    done = called("train", *TINY, "cell.hidden_size='${oc.env:TOKEN}'", "hydra.run.dir=run")
    assert done.status == 2
    assert "cell.hidden_size must be a whole number, got '${oc.env:TOKEN}'" in done.err
    assert SECRET not in done.out + done.err
    assert holding(tmp_path) == []


def test_no_file_of_a_sweep_holds_it(called: Callable[..., Answer], tmp_path: Path) -> None:
    space = ["sweep=grid", "sweep/space=empty", "+sweep.space={optimizer.lr:[-1.0,0.1]}"]
    done = called("sweep", *TINY, *USES, *space, "sweep.storage=journal", "sweep.dir=found")
    assert "trials: 1 complete, 1 fail" in done.out, done.err[-2000:]
    assert holding(tmp_path) == []


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:TOKEN}",
        "${ oc.env : TOKEN }",
        "a ${oc.env:TOKEN} b",
        "${oc.env:NONE,${oc.env:TOKEN}}",
        "${oc.decode:'${oc.env:TOKEN}'}",
        "${oc.create:{x: '${oc.env:TOKEN}'}}",
        "${oc.env:NONE,'a, b: \\ c \\' d'}",
        "${oc.env:NONE,'a \\\\'}",
        "${a.b}",
        "${oc.dict.values:a}",
    ],
)
def test_whatever_leads_to_the_environment_is_written_by_name_and_read_again_as_it_was(value: str) -> None:
    config: Any = OmegaConf.create({"a": {"b": "${oc.env:TOKEN}"}, "value": value})
    written = resolved_config(config)
    assert SECRET not in repr(written)
    assert OmegaConf.create(written).value == config.value
    assert resolved_config(OmegaConf.create(written)) == written or "NONE" in value


def test_resolvers_are_as_they_were_afterwards_also_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), environment_unresolved():
        raise ZeroDivisionError
    assert OmegaConf.create({"a": "${oc.env:TOKEN}", "b": "${oc.decode:'[1]'}"}) == {"a": SECRET, "b": [1]}


def test_a_message_names_the_variable_and_leaves_short_values_and_our_own_folders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHORT", "12345")
    monkeypatch.setenv("SEQMODELS_DATA_DIR", "/the/data")
    track_environment()
    names = ("TOKEN", "SHORT", "SEQMODELS_DATA_DIR")
    OmegaConf.to_container(OmegaConf.create([f"${{oc.env:{name}}}" for name in names]), resolve=True)
    assert concealed(f"/the/data: {SECRET}x 12345") == "/the/data: ${oc.env:TOKEN}x 12345"
