"""An untrusted configuration imports and runs nothing, however it is supplied."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from seqmodels.cells import GRUCell
from seqmodels.cli import run as run_command
from seqmodels.config.hydra_names import check_hydra_names
from seqmodels.errors import TargetRefused
from seqmodels.training.model_folder import load_model, save_model

TINY = ["data=digits", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "cell.hidden_size=3", "logger=none"]
TINY += ["trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "trainer=cpu", "callbacks=none"]
TARGETS = [
    "hostile.Own",
    "os.system",
    "posix.system",
    "subprocess.check_output",
    "builtins.exec",
    "pathlib.Path.write_text",
    "torch.utils.collect_env.run",
    "torch.utils.cpp_extension.load_inline",
    "torch.hub.load",
    "torch.serialization.load",
    "seqmodels.cells.base.ABC.register",
    "seqmodels.config.allowlist.importlib.import_module",
    "seqmodels.config.build.construct",
    "lightning.pytorch.LightningModule.load_from_checkpoint",
    "hydra.utils.instantiate",
    "logging.config.dictConfig",
    "webbrowser.open",
]
Node = dict[str, Any]


@pytest.fixture(autouse=True)
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that exists once the module ``hostile`` is imported or used."""
    code, path = tmp_path / "code", tmp_path / "ran"
    code.mkdir()
    (code / "hostile.py").write_text(f"open({str(path)!r}, 'w').close()\nclass Own: pass\nstream = None\n")
    monkeypatch.syspath_prepend(code)
    monkeypatch.delenv("SEQMODELS_ALLOW", raising=False)
    monkeypatch.delitem(sys.modules, "hostile", raising=False)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run_command(["train", *TINY, f"hydra.run.dir='{folder}'"]) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def hidden(target: str) -> dict[str, Node]:
    """Return ways to insert a target into the configuration of a run, each as a configuration to merge."""
    node = {"_target_": target}
    return {
        "plain": {"cell": node},
        "partial": {"optimizer": {**node, "_partial_": True}},
        "deep in lists": {"callbacks": {"x": {"_target_": "seqmodels.training.ddp", "more": [[{"a": node}]]}}},
        "by an interpolation": {"word": target, "cell": {"_target_": "${word}"}},
        "by a node elsewhere": {"spare": {"cell": node}, "callbacks": {"x": "${spare.cell}"}},
        "as the text of a resolver": {"callbacks": {"x": f"${{oc.decode:'{{_target_: {target}}}'}}"}},
        "as a made node": {"callbacks": "${oc.create:{x:{_target_:" + target + "}}}"},
        "in hydra's callbacks": {"hydra": {"callbacks": {"x": node}}},
        "in hydra's launcher": {"hydra": {"launcher": {"_target_": target}}},
        "as a class of a log": {"hydra": {"job_logging": {"handlers": {"x": {"class": target}}}}},
        "as a factory of a log": {"hydra": {"hydra_logging": {"formatters": {"x": {"()": target}}}}},
        "behind a log": {"spare": {"handlers": {"x": {"class": target}}}, "hydra": {"job_logging": "${spare}"}},
    }


def refused(tokens: list[str], marker: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail with a one-line error and run nothing; return the line."""
    capsys.readouterr()
    assert run_command(tokens) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert not marker.exists()
    assert "hostile" not in sys.modules
    return error


@pytest.mark.parametrize("way", hidden("x"))
def test_an_experiment_of_a_foreign_folder_passes_the_gate(
    way: str, marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")  # configurations inside of it would be the user's own
    folder = tmp_path / "configs" / "experiment"
    folder.mkdir(parents=True)
    text = "# @package _global_\n" + yaml.safe_dump(hidden("hostile.Own")[way])
    (folder / "foreign.yaml").write_text(text, encoding="utf-8")
    for place in (["--config-dir", "../configs"], [f"hydra.searchpath=[file://{tmp_path}/configs]"]):
        error = refused(["train", *place, "experiment=foreign", *TINY[1:]], marker, capsys)
        assert "hostile.Own" in error or "interpolation" in error


def test_honest_configurations_of_ones_own_are_found_either_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "configs" / "cell"
    folder.mkdir(parents=True)
    text = "# a cell of one's own\n_target_: seqmodels.cells.GRUCell\n_partial_: true\nhidden_size: 7\n"
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    (folder / ".notes.yaml").write_text("no: [yaml", encoding="utf-8")
    for place in (["--config-dir", "configs"], [f"hydra.searchpath=[file://{tmp_path}/configs]"]):
        assert run_command(["train", *place, "cell=mine", "--cfg", "job", "-p", "cell"]) == 0
        assert "hidden_size: 7" in capsys.readouterr().out
    assert "no folder" in refused(["train", "hydra.searchpath=[file:///nowhere]"], tmp_path / "ran", capsys)
    assert "pkg://hostile" in refused(["train", "hydra.searchpath=[pkg://hostile]"], tmp_path / "ran", capsys)


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_gets_through_a_run_folder(
    target: str, run: Path, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = OmegaConf.load(run / "config.yaml")
    OmegaConf.update(config, "callbacks.x", {"_target_": target, "_partial_": True}, force_add=True)
    OmegaConf.save(config, run / "config.yaml")
    assert target in refused(["evaluate", f"run={run}"], marker, capsys)


@pytest.mark.parametrize("way", ["by a node elsewhere", "as a made node", "in hydra's callbacks", "behind a log"])
def test_a_run_folder_hides_nothing(way: str, run: Path, marker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {**yaml.safe_load((run / "config.yaml").read_text()), **hidden("hostile.Own")[way]}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    refused(["evaluate", f"run={run}"], marker, capsys)


@pytest.mark.parametrize(
    "line",
    [
        "cell._target_=hostile.Own",
        "+hydra.callbacks.x={_target_: hostile.Own}",
        "+hydra.job_logging.handlers.x={class: logging.StreamHandler, stream: 'ext://hostile.stream'}",
        "--experimental-rerun=foreign.pickle",
        "hydra.searchpath=[pkg://hostile]",
    ],
)
def test_what_a_run_was_begun_with_passes_the_gate_when_it_goes_on(
    line: str, run: Path, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / ".hydra" / "hydra.yaml"
    saved = yaml.safe_load(path.read_text(encoding="utf-8"))
    kind = "hydra" if "hydra." in line else "task"
    saved["hydra"]["overrides"][kind].append(line)
    path.write_text(yaml.safe_dump(saved), encoding="utf-8")
    (run / "metrics.json").unlink()
    refused(["train", f"resume={run}", "trainer.max_epochs=2"], marker, capsys)


@pytest.mark.parametrize("target", TARGETS[:6])
def test_a_model_folder_passes_the_gate(target: str, tmp_path: Path, marker: Path) -> None:
    node = {"_target_": "seqmodels.cells.GRUCell"}
    config = dict.fromkeys(("model", "cell", "regularizers", "task", "data"), node)
    recipe: Node = {"config": {**config, "name": "x"}, "sizes": {}, "class_names": [], "preprocessing": None}
    save_model(tmp_path / "model", GRUCell(3, 5), recipe, {})
    path = tmp_path / "model" / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "model": {"_target_": "torch.nn.Sequential", "a": [{"_target_": target}]}}))
    with pytest.raises(TargetRefused, match="not on the list"):
        load_model(tmp_path / "model")
    assert not marker.exists()


@pytest.mark.parametrize(
    "node",
    [
        {"job": {"env_set": {"SEQMODELS_ALLOW": "*"}}},
        {"job": {"env_set": {"CXX": "./compiler"}}},
        {"job": {"env_set": {"PYTHONPATH": "/tmp"}}},
        {"job": {"env_set": "${spare}"}},
        {"job": "${spare}"},
        {"launcher": {"_target_": "hydra_plugins.hydra_submitit_launcher.x", "setup": ["touch ran"]}},
        {"launcher": {"python": "./python"}},
        {"sweeper": {"params": {"hydra.job_logging.root.level": "x"}}},
        {"job_logging": {"handlers": {"x": {"class": "logging.FileHandler", "stream": "ext://hostile.stream"}}}},
        {"job_logging": {"handlers": {"x": {"filename": "${hydra.job.name}"}}}},
        {"job_logging": "${spare}"},
        {"callbacks": {"x": ["${spare}"]}},
        "${spare}",
    ],
    ids=str,
)
def test_what_would_run_or_widen_by_hydras_own_keys_is_refused(node: Any) -> None:
    with pytest.raises(TargetRefused, match="hydra"):
        check_hydra_names(node)


def test_variables_that_tune_a_machine_may_be_set_and_commands_by_who_allows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = {"job": {"env_set": {"OMP_NUM_THREADS": "1"}}, "launcher": {"setup": ["module load cuda"]}}
    with pytest.raises(TargetRefused, match=r"SEQMODELS_ALLOW=hydra\.launcher\.setup allows it"):
        check_hydra_names(node)
    monkeypatch.setenv("SEQMODELS_ALLOW", "hydra.launcher.setup")
    check_hydra_names(node)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed: !!python/object/apply:os.system ['touch ran']\n", "could not determine a constructor"),
        ("seed: !!python/name:hostile.Own\n", "could not determine a constructor"),
        (
            "a: &a [x, x]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(6)),
            "more than 100000 keys and values through aliases",
        ),
        ("a: &a [*a]\n", "line 2: it contains an alias of itself"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: " + "x" * (1 << 20), "at most 1048576 bytes"),
        ("- a\n- b\n", "must hold keys and values"),
        ("defaults: {a: b}\n", "defaults must be a list"),
        ("a: b: c\n", "mapping values are not allowed here"),
        ("a: caf\udce9\n", "'utf-8' codec can't decode byte 0xe9"),
        ("# @package\na: 1\n", "a header must be '# @package NAME'"),
    ],
    ids=lambda value: value[:30],
)
def test_a_file_that_is_no_configuration_is_named_before_it_is_used(
    text: str, reason: str, tmp_path: Path, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "configs" / "experiment"
    folder.mkdir(parents=True)
    header = "" if text.startswith("# @") else "# @package _global_\n"
    (folder / "foreign.yaml").write_text(header + text, encoding="utf-8", errors="surrogateescape")
    error = refused(["train", "--config-dir", "configs", "experiment=foreign"], marker, capsys)
    assert f"{folder / 'foreign.yaml'}: " in error
    assert reason in error
    assert not (tmp_path / "ran").exists()


def test_a_sweep_report_of_a_foreign_folder_trains_and_imports_nothing(
    tmp_path: Path, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts: Node = {
        "study": "x",
        "storage": "sqlite",
        "objectives": {},
        "space": {},
        "of_trials": [],
        "config_dir": None,
    }
    facts["overrides"] = ["cell._target_=hostile.Own", "--experimental-rerun=x"]
    (tmp_path / "sweep.json").write_text(json.dumps(facts))
    refused(["sweep-report", f"dir={tmp_path}"], marker, capsys)
    (tmp_path / "sweep.json").write_text("[" * 9000)
    refused(["sweep-report", f"dir={tmp_path}"], marker, capsys)
