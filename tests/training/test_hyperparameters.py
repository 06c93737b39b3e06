"""Every logger is given the configuration of a run, flat, and each run has a record of its own."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqmodels.config.compose import compose
from seqmodels.training.callbacks.hyperparameters import own_wandb_run
from seqmodels.training.fit import train
from tests.composing import TINY, composed

SMALL = [*TINY, "cell=gru", "cell.hidden_size=3"]


class Recorder(DummyLogger):
    """Keeps what it is given; what it is given twice, it may not change if it continues a record."""

    seen: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, run_id: str | None = None) -> None:
        super().__init__()

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        self.seen.append(dict(params))


def test_files_of_loggers_hold_the_configuration_flat(tmp_path: Path) -> None:
    metrics = train(composed(tmp_path, *SMALL, "logger=[csv,tensorboard]"))
    for folder in (tmp_path, tmp_path / "tensorboard"):
        values = yaml.safe_load((folder / "hparams.yaml").read_text())
        assert values["cell._target_"] == "seqmodels.cells.GRUCell"
        assert (values["cell.hidden_size"], values["optimizer.betas"], values["seed"]) == (3, [0.9, 0.999], 1)
        assert values["run_name"] == "test"
        assert values["paths.data_dir"] == "${oc.env:SEQMODELS_DATA_DIR,data}"
        assert not [key for key in values if key.startswith(("model.cell.factory", "task.optimizer"))], "copies"
    scalars: dict[str, float] = {}
    table: list[str] = []
    for path in sorted((tmp_path / "tensorboard").glob("events.*")):
        events = EventAccumulator(str(path)).Reload()
        scalars |= {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
        table += [tag for tag in events.summary_metadata if tag.startswith("_hparams_")]
    assert set(table) == {f"_hparams_/{part}" for part in ("experiment", "session_start_info", "session_end_info")}
    for name in ("best/val/loss", "test/accuracy"):
        assert scalars[name] == pytest.approx(metrics[name])


@pytest.mark.parametrize(("run_id", "times"), [("null", 2), ("7f", 1)])
def test_a_resumed_run_does_not_change_a_record_that_it_continues(
    run_id: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQMODELS_ALLOW", f"{__name__}.*")
    monkeypatch.setattr(Recorder, "seen", [])
    logger = f"+logger.own={{_target_:{__name__}.Recorder,run_id:'{run_id}'}}".replace("'null'", "null")
    for resume in (False, True):
        train(composed(tmp_path, *SMALL, "logger=none", logger, resume=resume))
    assert len(Recorder.seen) == times
    assert all(values["cell.hidden_size"] == 3 for values in Recorder.seen)


def test_services_get_the_name_of_the_run_and_of_its_group() -> None:
    config = compose("train", ["logger=[wandb,mlflow]", "name=mine", "cell=gru", "cell.hidden_size=3"])
    HydraConfig.instance().set_config(config)
    wandb, mlflow = config.logger.wandb, config.logger.mlflow
    assert (wandb.name, wandb.group) == ("gru-3-seed1", "mine")
    assert (mlflow.run_name, mlflow.experiment_name) == ("gru-3-seed1", "mine")


def test_each_run_has_a_record_of_its_own_in_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an end, the second job of a multirun would write into that of the first."""
    ended: list[int] = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(finish=ended.append))
    trainer: Any = SimpleNamespace(loggers=[WandbLogger.__new__(WandbLogger)])
    with own_wandb_run(trainer):
        assert ended == []
    with pytest.raises(KeyError), own_wandb_run(trainer):
        raise KeyError
    with own_wandb_run(SimpleNamespace(loggers=[])):  # type: ignore[arg-type]
        pass
    assert ended == [0, 1]
