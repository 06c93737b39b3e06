"""However its processes are started, a run has one folder, and only the first process writes to it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seqmodels.commands.launch import share_folder
from seqmodels.config.compose import compose
from seqmodels.errors import ConfigError
from tests.conftest import Answer
from tests.distributed.faults import fault
from tests.distributed.ranks import SEQMODELS, TINY, Ended, files, free_port, run, run_together

pytestmark = [pytest.mark.dist, pytest.mark.xdist_group("dist")]

HYDRA = [".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"]
CHECKPOINTS = [f"checkpoints/{name}.ckpt{end}" for name in ("best", "last") for end in ("", ".sha256")]
MODEL = [f"model/{name}" for name in ("README.md", "config.json", "model.safetensors", "statistics.json")]
RUN = sorted([*HYDRA, *CHECKPOINTS, *MODEL, *(f"{n}.json" for n in ("environment", "metrics")), "config.yaml"])
RUN = sorted([*RUN, "hparams.yaml", "metrics.csv", "record.json", "report.html", "train.log"])
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]


def ok(ended: Ended) -> Ended:
    assert ended.status == 0, ended.err
    return ended


@pytest.mark.long
def test_every_job_of_a_multirun_over_two_processes_is_run_once(tmp_path: Path) -> None:
    ended = ok(run([*SEQMODELS, "train", "-m", "trainer=ddp_sim", *TINY, "seed=1,2", "hydra.sweep.dir=jobs"], tmp_path))
    assert ended.out.count("epoch 1/1") == 2
    assert ended.out.count("sweep folder") == 1
    assert files(tmp_path / "jobs") == sorted(
        ["comparison.csv", "multirun.yaml", *(f"{job}/{file}" for job in (0, 1) for file in RUN)]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["jobs"]


@pytest.mark.long
def test_torchrun_has_one_folder_and_a_restart_ends_as_a_run_without_failure(tmp_path: Path) -> None:
    from tests.training.resuming.runs import assert_same

    settings = [*TINY, "trainer=ddp_sim", "callbacks.resume_points.every_n_steps=1", "resume=auto"]
    lost = ok(run([*TORCHRUN, "-m", "seqmodels", "train", *settings, *fault(1, 2, "exit")], tmp_path))
    (folder,) = (tmp_path / "logs" / "classification").iterdir()
    assert lost.out.count("run folder") == 1
    assert files(folder) == sorted([*RUN, "checkpoints/previous.ckpt", "checkpoints/previous.ckpt.sha256"])
    whole = [*fault(1, -1, "exit"), "hydra.run.dir=whole"]
    ok(run([*SEQMODELS, "train", *settings, *whole], tmp_path))
    assert_same(folder, tmp_path / "whole")


@pytest.mark.long
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_of_other_launchers_are_folders_of_one_sweep(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    (tmp_path / "mycells.py").write_text("from seqmodels.cells import GRUCell\n\n\nclass MyCell(GRUCell):\n    pass\n")
    command = [*SEQMODELS, "train", "-m", f"hydra/launcher={launcher}", *TINY, "trainer=cpu", "seed=1,2"]
    ok(run([*command, "hydra.sweep.dir=jobs", "cell._target_=mycells.MyCell"], tmp_path))
    assert "run_name: MyCell-3-seed2" in (tmp_path / "jobs" / "1" / "config.yaml").read_text()
    for job in ("0", "1"):
        assert set(files(tmp_path / "jobs" / job)) >= set(RUN) - {"train.log"}
    assert len((tmp_path / "jobs" / "comparison.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "joblib"), ("submitit_slurm", "slurm")])
def test_a_launcher_that_is_not_installed_is_named_with_its_extra(
    launcher: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = "seqmodels.config.explaining.options_of"
    monkeypatch.setattr(found, lambda _, group: ["basic"] if group == "hydra/launcher" else [])
    with pytest.raises(ConfigError, match=rf"pip install 'seqmodels\[{extra}\]'"):
        compose("train", [f"hydra/launcher={launcher}"])


AGREE = """
import os
from seqmodels.commands.launch import from_first_process
from seqmodels.errors import ConfigError
def fail():
    raise ConfigError("no such folder")
print(from_first_process("number", os.getpid), from_first_process("list", lambda: ["a", os.getpid()]))
try:
    from_first_process("nothing", fail)
except ConfigError as error:
    print(error)
"""


def started(kind: str, rank: int, port: int) -> dict[str, str]:
    """Return the environment variables of one of two processes."""
    if kind == "ranks":
        return {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    job = {"SLURM_JOB_ID": str(port), "SLURM_JOB_NAME": "run", "SLURM_NODELIST": "127.0.0.1", "SLURM_NTASKS": "2"}
    return {
        **job,
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
    }


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ranks", "slurm"])
def test_the_first_process_answers_for_all(kind: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", AGREE]
    one, two = run_together([command, command], tmp_path, [started(kind, rank, port) for rank in (0, 1)])
    assert ok(one).out == ok(two).out
    answers, failure = one.out.splitlines()
    assert len(answers.split()) == 3
    assert failure == "no such folder"


def test_hosts_without_a_launcher_need_the_name_of_the_folder() -> None:
    config = compose("train", ["trainer=ddp_sim", "trainer.num_nodes=2"])
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir=FOLDER"):
        share_folder(config, "run")
    named = compose("train", ["trainer=ddp_sim", "trainer.num_nodes=2", "hydra.run.dir=here"])
    share_folder(named, "run")


@pytest.mark.long
def test_an_evaluation_by_two_processes_repeats_the_test_of_one(command: Callable[..., Answer], tmp_path: Path) -> None:
    whole = [line for line in TINY if "limit_test" not in line]
    whole.append("baselines=false")  # which one process reports
    assert command("train", "trainer=cpu", *whole, "hydra.run.dir=run").status == 0
    strategy = ["trainer.strategy=ddp", "trainer.devices=2"]
    ended = ok(run([*SEQMODELS, "evaluate", "run=run", *strategy, "hydra.run.dir=again"], tmp_path))
    assert ended.out.count("test/accuracy") == 1
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "again"))
    for name, value in two.items():
        assert value == pytest.approx(one[name], abs=1e-6), name
