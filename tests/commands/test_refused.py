"""A run that is refused leaves no folder; nothing else is removed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from seqmodels.commands.refused import no_folder_if_refused
from seqmodels.config.compose import compose
from seqmodels.errors import ConfigError
from tests.composing import TINY
from tests.conftest import Answer

Command = Callable[..., Answer]


@pytest.mark.parametrize(
    "tokens",
    [
        ["data=text_csv", "data.path=nowhere.csv"],
        ["task=forecasting", "data=digits"],
        ["cell.hidden_size=-3"],
        ["refit=some"],
        ["-m", "cell=gru,lstm", "cell.hidden_size=-3"],
    ],
    ids=" ".join,
)
def test_a_refused_run_leaves_nothing(tokens: list[str], command: Command, tmp_path: Path) -> None:
    done = command("train", *tokens)
    assert done.status == 2
    assert "Traceback" not in done.err
    assert ("no job could start" in done.err) == ("-m" in tokens)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_there_stay(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "logs").mkdir()
    assert command("train", "cell.hidden_size=-3", "hydra.run.dir=mine").status == 2
    assert command("train", "cell.hidden_size=-3").status == 2
    assert command("train", *TINY, "cell.hidden_size=3", "logger=none", "hydra.run.dir=logs/run").status == 0
    assert command("evaluate", "run=logs/run", "input=nowhere.csv").status == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "mine"]
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["run"]
    assert not (tmp_path / "logs" / "run" / "evaluations").exists()


@pytest.mark.parametrize("error", [ConfigError, KeyboardInterrupt])
@pytest.mark.parametrize("other", ["notes.txt", "config.yaml", ".hydra/notes.txt", "checkpoints/last.ckpt", None])
def test_a_folder_is_removed_only_with_what_hydra_writes(
    other: str | None, error: type[BaseException], tmp_path: Path
) -> None:
    folder = tmp_path / "logs" / "a" / "run"
    config = compose("train", [f"hydra.run.dir='{folder}'"])
    HydraConfig.instance().set_config(config)

    def refused() -> None:
        for name in (".hydra/config.yaml", "train.log", *([other] if other else [])):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        raise error("refused")

    with pytest.raises(error), no_folder_if_refused(config, "run"):
        refused()
    assert (tmp_path / "logs").exists() == folder.exists() == (other is not None)
    if other:
        assert (folder / "train.log").is_file()


def test_a_run_that_fails_by_a_bug_keeps_its_log(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("seqmodels.training.fit.check_config", broken)
    for tokens in ([], ["-m", "seed=1,2"]):
        assert command("train", *tokens).status == 1
    logs = [*tmp_path.glob("logs/**/train.log")]
    assert len(logs) == 3
    assert all("a bug" in log.read_text() for log in logs)
