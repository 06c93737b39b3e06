"""An untrusted checkpoint runs and imports nothing, whichever command reads it."""

import os
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from seqmodels.errors import ConfigError, CorruptCheckpointError, TargetRefused
from seqmodels.exporting.generation import write_samples
from seqmodels.exporting.prediction import predict
from seqmodels.training.checkpointing import load_task
from seqmodels.training.evaluation import evaluate
from seqmodels.training.fit import train
from tests.composing import TINY, composed

SMALL = [*TINY, "cell.hidden_size=3", "logger=none"]


class Payload:
    """The content of a malicious pickle: a call that creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    """The configuration of a small finished run; ``paths.output_dir`` is its folder."""
    config = composed(tmp_path_factory.mktemp("run"), *SMALL)
    train(config)
    return config


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path that exists once code has run; importing the module ``harmful`` also creates it."""
    marker, code = tmp_path / "marker", tmp_path / "code"
    code.mkdir()
    (code / "harmful.py").write_text(
        f"import os\nos.mkdir({str(marker)!r})\ndef run(*args, **kwargs): pass\nrun.x = run\n"
    )
    monkeypatch.syspath_prepend(code)
    return marker


def options(**given: Any) -> DictConfig:
    return OmegaConf.create(given)


def evaluates(run: Path, config: DictConfig) -> None:
    with open_dict(config):
        config.update({"run": str(run), "ckpt": "last", "input": None, "backtest": None})
    evaluate(config)


def predicts(run: Path, config: DictConfig) -> None:
    source = run / "input.jsonl"
    source.write_text('{"series": [[0, 0, 0, 0, 0, 0, 0, 0]]}\n')
    given = {"run": str(run), "ckpt": "last", "input": str(source), "output": "-", "format": None, "keep": None}
    predict(options(**given, strict=True, accelerator="cpu", batch_size=3, threads=1))


def generates(run: Path, config: DictConfig) -> None:
    given = {"run": str(run), "ckpt": "last", "length": 3, "temperature": 1.0, "top_k": None, "top_p": None}
    write_samples(options(**given, samples=1, seed=1, accelerator="cpu", threads=1), "", StringIO())


def continues(run: Path, config: DictConfig) -> None:
    config.ckpt_path = str(run / "checkpoints" / "last.ckpt")
    train(config)


def resumes(run: Path, config: DictConfig) -> None:
    config.resume = str(run)
    train(config)


def loads(run: Path, config: DictConfig) -> None:
    load_task(run / "checkpoints" / "last.ckpt")


READERS = [evaluates, predicts, generates, continues, resumes, loads]


def placed(checkpoint: Any, config: DictConfig, folder: Path) -> tuple[Path, DictConfig]:
    """Put a checkpoint into a separate run folder; return it with a configuration of a run there."""
    config = config.copy()
    config.paths.output_dir = str(folder / "run")
    (folder / "run" / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint, folder / "run" / "checkpoints" / "last.ckpt")
    return folder / "run", config


def honest(config: DictConfig) -> dict[str, Any]:
    path = Path(config.paths.output_dir, "checkpoints", "last.ckpt")
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    return checkpoint


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", ["itself", "recipe", "state_dict", "callbacks", "beside"])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(
    place: str, reader: Callable[[Path, DictConfig], None], config: DictConfig, marker: Path, tmp_path: Path
) -> None:
    payload = Payload(marker)
    checkpoint = payload if place == "itself" else {**honest(config), place: payload}
    run, own = placed(checkpoint, config, tmp_path)
    with pytest.raises(CorruptCheckpointError, match=r"more than plain data \(posix\.mkdir\)|can be used: last\.ckpt"):
        reader(run, own)
    assert not marker.exists()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["_instantiator", "_class_path"])
def test_hyper_parameters_that_name_code_are_refused_before_it_is_imported(
    name: str, reader: Callable[[Path, DictConfig], None], config: DictConfig, marker: Path, tmp_path: Path
) -> None:
    checkpoint = {**honest(config), "hyper_parameters": {name: "harmful.run"}}
    run, own = placed(checkpoint, config, tmp_path)
    with pytest.raises(CorruptCheckpointError, match=r"name code to import|can be used: last\.ckpt"):
        reader(run, own)
    assert "harmful" not in sys.modules
    assert not marker.exists()


@pytest.mark.parametrize("place", ["model", "model.cell", "task.optimizer", "optimizer"])
@pytest.mark.parametrize("target", ["harmful.run", "os.system", "torch.utils.collect_env.run"])
def test_a_recipe_that_names_code_is_refused_before_it_is_imported(
    target: str, place: str, config: DictConfig, marker: Path, tmp_path: Path
) -> None:
    checkpoint = honest(config)
    node = checkpoint["recipe"]["config"]
    for key in place.split("."):
        node = node[key]
    node["_target_"] = target
    for reader in (evaluates, predicts, generates, loads):
        (tmp_path / reader.__name__).mkdir()
        run, own = placed(checkpoint, config, tmp_path / reader.__name__)
        with pytest.raises(TargetRefused, match=rf"{target}.* is not on the list"):
            reader(run, own)
    assert "harmful" not in sys.modules
    assert not marker.exists()


def test_the_preprocessing_of_a_recipe_passes_the_gate_too(config: DictConfig, marker: Path, tmp_path: Path) -> None:
    checkpoint = honest(config)
    checkpoint["recipe"]["preprocessing"] = {"_target_": "harmful.run"}
    run, own = placed(checkpoint, config, tmp_path)
    with pytest.raises(TargetRefused, match=r"harmful\.run.* is not on the list"):
        predicts(run, own)
    assert "harmful" not in sys.modules


def test_weights_that_are_not_those_of_the_recipe_are_refused_by_name(config: DictConfig, tmp_path: Path) -> None:
    checkpoint = honest(config)
    checkpoint["recipe"]["config"]["model"]["cell"]["factory"]["hidden_size"] = 4
    run, own = placed(checkpoint, config, tmp_path)
    with pytest.raises(
        CorruptCheckpointError, match=r"last\.ckpt holds other weights than .*: size mismatch for model"
    ):
        loads(run, own)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("optimizer._target_", None),
        ("optimizer.betas", {}),
        ("model.cell.wrappers", 0),
        ("paths.data_dir", "${oc.env:\x1f"),
    ],
)
def test_a_recipe_that_nothing_can_be_built_from_is_refused_by_name(
    place: str, value: Any, config: DictConfig, tmp_path: Path
) -> None:
    checkpoint = honest(config)
    *parents, last = place.split(".")
    node = checkpoint["recipe"]["config"]
    for key in parents:
        node = node[key]
    node[last] = value
    run, own = placed(checkpoint, config, tmp_path)
    with pytest.raises(ConfigError) as caught:
        loads(run, own)
    assert len(str(caught.value).splitlines()) == 1


def test_an_honest_checkpoint_passes_every_reader_that_fits_it(config: DictConfig, tmp_path: Path) -> None:
    for reader in (evaluates, predicts, continues, loads):
        (tmp_path / reader.__name__).mkdir()
        reader(*placed(honest(config), config, tmp_path / reader.__name__))
    (tmp_path / "text").mkdir()
    with pytest.raises(ConfigError, match="holds no language model"):
        generates(*placed(honest(config), config, tmp_path / "text"))
