"""A run: its folder, its checkpoints, its repeatability."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback
from omegaconf import DictConfig, OmegaConf

from seqmodels.errors import ConfigError, TargetRefused
from seqmodels.training.checkpointing import load_task
from seqmodels.training.evaluation import evaluate
from seqmodels.training.fit import train
from seqmodels.training.model_folder import load_model
from seqmodels.training.records.folders import is_running
from seqmodels.training.runs import resolved_config
from tests.composing import TINY, composed

SMALL = ["cell.hidden_size=5", "trainer=cpu", "trainer.max_epochs=2", "trainer.limit_train_batches=3"]
SMALL += ["baselines=false"]  # which take longer than the training; tests/training/test_baselines.py has theirs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """The folder and the metrics of a small finished run."""
    folder = tmp_path_factory.mktemp("run")
    return folder, train(composed(folder, *SMALL))


def test_a_run_leaves_the_documented_folder(run: tuple[Path, dict[str, float]]) -> None:
    folder, metrics = run
    expected = {"config.yaml", "environment.json", "hparams.yaml", "metrics.csv", "metrics.json", "model"}
    expected |= {"record.json"}
    assert {path.name for path in folder.iterdir()} == expected | {"tensorboard", "checkpoints"}
    names = {"best.ckpt", "best.ckpt.sha256", "last.ckpt", "last.ckpt.sha256"}
    assert {path.name for path in (folder / "checkpoints").iterdir()} == names
    names = {"config.json", "model.safetensors", "README.md", "statistics.json"}
    assert {path.name for path in (folder / "model").iterdir()} == names
    assert list((folder / "tensorboard").glob("events.*"))
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert set(metrics) >= {"test/accuracy", "test/loss", "val/loss", "train/loss", "parameters", "seconds"}
    assert json.loads((folder / "environment.json").read_text())["packages"]["torch"] == torch.__version__


def test_a_checkpoint_is_plain_data_and_rebuilds_its_task(run: tuple[Path, dict[str, float]]) -> None:
    folder, metrics = run
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["recipe"]["sizes"]["input_size"] == 8
    task = load_task(folder / "checkpoints" / "best.ckpt")
    assert sum(parameter.numel() for parameter in task.model.parameters()) == metrics["parameters"]
    for name, value in task.state_dict().items():
        assert torch.equal(value, checkpoint["state_dict"][name]), name


def test_the_model_folder_holds_the_tested_network(run: tuple[Path, dict[str, float]]) -> None:
    folder, _ = run
    x, lengths = torch.randn(3, 7, 8), torch.tensor([7, 2, 5])
    best = load_task(folder / "checkpoints" / "best.ckpt").model
    torch.testing.assert_close(load_model(folder / "model")(x, lengths), best(x, lengths), rtol=0, atol=0)


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_evaluating_a_checkpoint_repeats_its_test(
    checkpoint: str, run: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    folder, metrics = run
    config = OmegaConf.load(folder / "config.yaml")
    config.paths.output_dir = str(tmp_path)
    config.update({"run": str(folder), "ckpt": checkpoint, "input": None, "backtest": None})
    assert isinstance(config, DictConfig)
    config.data.batch_size = 7  # the size of a batch changes no metric
    again = evaluate(config)
    assert set(again) == {name for name in metrics if name.startswith("test/")}
    if checkpoint == "best":
        assert again == pytest.approx({name: metrics[name] for name in again}, rel=1e-5)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_decides_a_run_zero_too(seed: int, tmp_path: Path) -> None:
    overrides = [*SMALL, f"seed={seed}", "logger=none", "regularizers=recurrent_dropout"]
    first, second = (train(composed(tmp_path / name, *overrides)) for name in ("a", "b"))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    other = train(composed(tmp_path / "c", *overrides, f"seed={seed + 1}"))
    assert other["train/loss"] != first["train/loss"]


def test_a_run_holds_its_folder_while_it_trains_and_tests(tmp_path: Path) -> None:
    class Watch(Callback):
        running: ClassVar[list[bool]] = []

        def on_train_end(self, *_: Any) -> None:
            self.running.append(is_running(tmp_path))

        def on_test_end(self, *_: Any) -> None:
            self.running.append(is_running(tmp_path))

    train(composed(tmp_path, *TINY, "cell.hidden_size=5", "logger=none"), Watch())
    assert Watch.running == [True, True]
    assert not is_running(tmp_path)


def test_training_continues_from_a_checkpoint(run: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    folder, _ = run
    last = folder / "checkpoints" / "last.ckpt"
    train(composed(tmp_path, *SMALL, "trainer.max_epochs=3", "logger=none", f"ckpt_path='{last}'"))
    ends = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (folder, tmp_path)]
    assert [end["epoch"] for end in ends] == [2, 3]
    assert [end["global_step"] for end in ends] == [6, 9]


def test_data_that_cannot_feed_the_task_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ConfigError, match=r"yields targets for regression.*use task=regression"):
        train(composed(folder, "data=adding", "task=classification", "model=classifier"))
    assert not folder.exists()


def test_data_bring_their_task_and_the_task_its_model(tmp_path: Path) -> None:
    metrics = train(composed(tmp_path, "data=adding", "data.train_rows=64", "cell.hidden_size=5", "logger=none", *TINY))
    assert "test/rmse" in metrics


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cell.hidden_size=-3", r"model .*hidden_size must be.*-3"),
        ("optimizer.lr=-1", r"optimizer \(torch\.optim\.Adam\): Invalid learning rate"),
        ("optimizer.betas=[0.9]", r"optimizer \(torch\.optim\.Adam\) does not accept .*'betas': \[0\.9\].*IndexError"),
        ("data.batch_size=0", r"data .*batch_size must be a whole number of at least 1, got 0"),
        ("+callbacks.ema.decay=0.9", r"callbacks\.ema must have a _target_, got \{'decay': 0\.9\}"),
        ("+model.depht=2", r"model\.depht: .*did you mean 'depth'"),
        ("cell._target_=os.system", r"not on the list"),
    ],
)
def test_bad_values_are_refused_before_training(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        train(composed(tmp_path, override))
    assert not (tmp_path / "checkpoints").exists()


def test_clipping_by_value_bounds_every_gradient(tmp_path: Path) -> None:
    """One SGD step with rate 1 changes no weight by more than the bound."""
    clip = ["trainer.gradient_clip_val=0.001", "trainer.gradient_clip_algorithm=value"]
    plain_step = ["optimizer=sgd", "optimizer.lr=1", "scheduler=constant", "logger=none", *TINY]
    start = ["optimizer.lr=0", "optimizer=sgd", "scheduler=constant", "logger=none", *TINY]
    train(composed(tmp_path / "start", *start))
    train(composed(tmp_path / "step", *plain_step, *clip))
    before, after = (load_task(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("start", "step"))
    moved = [
        (a - b).abs().max().item() for a, b in zip(after.model.parameters(), before.model.parameters(), strict=True)
    ]
    assert 0 < max(moved) <= 0.001 + 1e-6


def test_what_stands_in_the_environment_is_not_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "very-secret")
    config = OmegaConf.create({"a": {"key": "${oc.env:TOKEN}"}, "b": "${a.key}", "c": "${a}", "d": "${e}", "e": 3})
    written = resolved_config(config)
    assert "very-secret" not in json.dumps(written)
    assert written["d"] == 3
    assert OmegaConf.create(written).b == "very-secret", "it is read where it is used"


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "list", "foreign"])
def test_files_that_are_no_checkpoints_are_refused_by_name(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save([1] if content == "list" else {"state_dict": {}}, path)
    with pytest.raises(ConfigError, match=str(path)):
        load_task(path)


class Payload:
    """The content of a malicious pickle."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (str(self.marker), "w")


def test_a_malicious_checkpoint_runs_nothing(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "x.ckpt"
    torch.save({"recipe": Payload(marker)}, path)
    with pytest.raises(ConfigError, match="cannot read the checkpoint"):
        load_task(path)
    assert not marker.exists()


def test_the_recipe_of_a_checkpoint_passes_the_gate(run: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    checkpoint = torch.load(run[0] / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["recipe"]["config"]["model"] = {"_target_": "os.system", "command": "true"}
    torch.save(checkpoint, tmp_path / "x.ckpt")
    with pytest.raises(TargetRefused, match=r"os\.system"):
        load_task(tmp_path / "x.ckpt")


def test_a_network_that_is_not_that_of_the_checkpoint_is_refused(
    run: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    last = run[0] / "checkpoints" / "last.ckpt"
    with pytest.raises(ConfigError, match="holds another network than that of this run: size mismatch for model"):
        train(composed(tmp_path, *SMALL, "cell.hidden_size=6", f"ckpt_path='{last}'"))
    with pytest.raises(ConfigError, match=r"cannot read the checkpoint nowhere\.ckpt"):
        train(composed(tmp_path, *SMALL, "ckpt_path=nowhere.ckpt"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cell.hidden_size=2.5"], r"cell\.hidden_size must be a whole number, got 2\.5"),
        (["data.batch_size=1.5"], r"data\.batch_size must be a whole number, got 1\.5"),
        (["data=mnist", "data.layout=colums"], r"data\.layout must be one of 'rows', 'pixels', 'permuted'"),
        (
            ["data=mnist", "paths.data_dir=nowhere"],
            r"nowhere/mnist lacks train-images.*SEQMODELS_DATA_DIR",
        ),
        (["seed=-1"], r"seed must be a whole number from 0 to 2\*\*32 - 1, got -1"),
        (["threads=0"], r"threads must be a positive whole number, or null for a choice by size, got 0"),
        (["callbacks.early_stopping.monitor=val/acuracy", *TINY], r"not logged; did you mean 'val/accuracy'"),
        (["data=parity", "task=regression"], "use task=classification"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_value_that_does_not_fit_is_refused_by_its_key(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        train(composed(tmp_path, "logger=none", *overrides))
