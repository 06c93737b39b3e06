"""The command, as a user meets it: from a folder that is not the checkout."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seqmodels.cli import run as run_command
from seqmodels.commands import doctor
from seqmodels.config.compose import implied
from tests.conftest import Answer
from tests.distributed.ranks import SEQMODELS

Command = Callable[..., Answer]
TINY = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "cell.hidden_size=5", "trainer=cpu", "baselines=false"]
CELL = """
from dataclasses import dataclass

import torch
from lightning.pytorch import Callback
from seqmodels.cells import ElmanCell
from seqmodels.data import LabelledSeries, Source, Splits, Standardization


@dataclass(kw_only=True)
class Waves(Source):
    name = "waves"
    target_kind = "classification"
    citation = license = "none"
    preparation = Standardization
    steps: int

    def splits(self):
        labels = torch.arange(12) % 2
        series = torch.arange(12.0 * self.steps * 3).sin().reshape(12, self.steps, 3)
        return Splits(*3 * [LabelledSeries(series, labels, ("a", "b"))])


class Said(Callback):
    def __init__(self, text):
        self.text = text

    def on_fit_end(self, trainer, pl_module):
        optimizer, schedule = trainer.optimizers[0], trainer.lr_scheduler_configs[0].scheduler
        print(self.text, type(optimizer).__name__, optimizer.defaults["momentum"], schedule.gamma)


class MyCell(ElmanCell):
    pass
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "no command 'trian'; did you mean 'train'?"),
        (["train", "cell=gru,lstm"], "cell=gru,lstm: several values; add -m to run each of them"),
        (["train", "cell.hidden_size=1,2"], "add -m to run each of them"),
        (["train", "+trainr.max_epochs=3"], "adds a key 'trainr'; did you mean 'trainer'?"),
        (["train", "--multi-run"], "unrecognized arguments: --multi-run; did you mean '--multirun'?"),
        (["train", "--cfg", "jb"], "invalid choice: 'jb'"),
        (["train", "--config-name", "nope"], "--config-name and --config-path have no meaning here"),
        (["train", "cell=gru", "-m", "cell.hiden_size=3"], "did you mean 'hidden_size'?"),
        (["train", "cell=lsmt"], "cell=lsmt: no such option; did you mean 'lstm'?"),
        (["train", "-m", "cell=gru,lsmt"], "did you mean 'lstm'?"),
        (["train", "experiment=digit_lstm"], "did you mean 'digits_lstm'?"),
        (["train", "cel=lstm"], "did you mean 'cell'?"),
        (["train", "cell.hiden_size=3"], "cell (cell/lstm.yaml) has no key 'hiden_size'; did you mean 'hidden_size'?"),
        (["train", "hidden_size=3"], "did you mean 'cell.hidden_size'?"),
        (["train", "-m", "cell=elman,lstm", "cell.activation=relu"], "cell (cell/lstm.yaml) has no key 'activation'"),
        (["train", "cell._target_=os.system"], "is not a seqmodels.cells.Cell"),
        (["train", "+hydra.callbacks.x._target_=os.system"], "not on the list"),
        (["train", "optimizer.lr"], "overrides look like key=value"),
        (["train", "--cfg", "job", "cell=lsmt"], "did you mean 'lstm'?"),
        (["train", "--config-dir", "nowhere"], "there is no such folder"),
        (["train", "cell.hidden_size=abc"], "cell.hidden_size must be a whole number, got 'abc'"),
        (["train", "optimizer.lr=fast"], "optimizer.lr must be a number, got 'fast'"),
        (["train", "trainer.max_epochs=ten"], "trainer.max_epochs must be a whole number or null, got 'ten'"),
        (["train", "-m", "data.batch_size=x,32"], "data.batch_size must be a whole number"),
        (["train", "test=maybe"], "test must be true or false"),
        (["train", "trainer.deterministic=wran"], "must be true or false or null or 'warn'; did you mean 'warn'?"),
        (["train", "name=my (x)"], "quote it, 'name=\"my (x)\"'"),
        (["train", "name=a,b"], "or quote a text that has commas: 'name=\"a,b\"'"),
        (["predict", "run=0", "input=1"], "run=0: there is no such folder"),
        (["train", "seed=one"], "seed must be a number"),
        (
            ["train", "regularizers=zoneout", "regularizers.zoneout.rates={c:0.5}"],
            "+regularizers.zoneout.rates.c=... adds",
        ),
        (["train", "regularizers.p=0.5"], "choose one with regularizers=, of learned_initial_state, none"),
        (["evaluate"], "needs the folder of a finished run"),
        (["predict", "input=a.csv"], "run must be given: run=..."),
        (["predict", "run=a", "inptu=a.csv"], "did you mean 'input'?"),
        (["evaluate", "run=nowhere"], "run=nowhere: there is no such folder or file"),
        (["data", "verfy", "mnist"], "did you mean 'verify'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_typos_get_the_nearest_right_name_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEQMODELS_ALLOW", raising=False)
    assert run_command(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_help_and_typos_are_answered_at_once_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from seqmodels.cli import run\n"
        "assert run(['--help']) == 0\n"
        "assert len(sys.modules) < 200, sorted(sys.modules)\n"
        "assert 'hydra' not in sys.modules\n"
        "assert run(['train', 'cell.hiden_size=3']) == 2\n"
        "assert run(['train', '--help']) == 0\n"
        "assert run(['train', '--cfg', 'job']) == 0\n"
        "assert not {'torch', 'lightning', 'numpy'} & set(sys.modules), 'slow imports'\n"
        "assert len(sys.modules) < 700, sorted(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "train and test a model" in done.stdout
    assert "min_gru" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_status_is_that_of_the_process(tmp_path: Path) -> None:
    done = subprocess.run([*SEQMODELS, "trian"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, "did you mean 'train'?" in done.stderr) == (2, True)


def test_a_run_is_trained_shown_and_evaluated_again(command: Command, tmp_path: Path) -> None:
    done = command("train", *TINY)
    assert done.status == 0, done.err
    *table, last = done.out.splitlines()
    assert any("test/accuracy" in line for line in table)
    assert sum(line.startswith("epoch 1/1 ") for line in table) == 1
    assert "Tip" not in done.err + done.out
    folder = Path(last.removeprefix("run folder: "))
    assert folder.parent == tmp_path / "logs" / "classification"
    assert (folder / ".hydra" / "overrides.yaml").is_file()
    metrics = json.loads((folder / "metrics.json").read_text())

    again = command("evaluate", f"run={folder}", "data.batch_size=7")
    assert again.status == 0, again.err
    result = Path(again.out.splitlines()[-1].removeprefix("run folder: "))
    assert json.loads((result / "metrics.json").read_text())["test/loss"] == pytest.approx(metrics["test/loss"])
    assert f"Evaluation of {folder.name}" in (result / "report.html").read_text()

    typo = command("evaluate", f"run={folder}", "data.bach_size=7")
    assert (typo.status, "did you mean 'batch_size'?" in typo.err) == (2, True)


def test_a_sweep_goes_on_after_a_failure_and_ends_in_one_table(command: Command, tmp_path: Path) -> None:
    done = command("train", "-m", "cell.hidden_size=0,5", *TINY[:2], "logger=none", "baselines=false")
    assert done.status == 1
    assert "Traceback" not in done.err
    (sweep,) = (tmp_path / "logs" / "classification").iterdir()
    assert "ConfigError" in (sweep / "0" / "train.log").read_text(), "the log of the failed job has its traceback"
    assert not (sweep / "0" / "metrics.json").exists()
    assert (sweep / "1" / "metrics.json").is_file()
    rows = [line for line in done.out.splitlines() if re.match(r"[|│] [01] ", line)]
    assert ["failed" in row for row in rows] == [True, False]
    assert (sweep / "comparison.csv").read_text().splitlines()[0].startswith("job,cell.hidden_size,test/")


def test_own_cells_configs_and_mistakes(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mycells.py").write_text(CELL, encoding="utf-8")
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    text = "# @package _global_\nname: mine\ncell: {_target_: mycells.MyCell}\n"
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    own = ["train", "--config-dir", "own", "experiment=mine", "logger=none", *TINY]

    done = command(*own)
    assert done.status == 0, done.err
    assert (tmp_path / "logs" / "mine").is_dir()

    mistake = command(*own, "cell._target_=mycells.MyCel")
    assert mistake.status == 2
    assert "did you mean 'MyCell'?" in mistake.err
    assert "Traceback" not in mistake.err

    full = command(*own, "cell._target_=mycells.No", HYDRA_FULL_ERROR="1")
    assert (full.status, "Traceback" in full.err) == (2, True)


def test_own_parts_are_given_no_keys_of_the_default_ones(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mycells.py").write_text(CELL, encoding="utf-8")
    own = ["data._target_=mycells.Waves", "+data.steps=5", "data.batch_size=4", "cell._target_=mycells.MyCell", *TINY]
    own += ["optimizer._target_=torch.optim.SGD", "+optimizer.momentum=0.5", "logger=none"]
    own += ["scheduler._target_=torch.optim.lr_scheduler.ExponentialLR", "+scheduler.gamma=0.7"]
    own += ["+callbacks.said._target_=mycells.Said", "+callbacks.said.text=own"]
    done = command("train", *own)
    assert done.status == 0, done.err
    assert "own SGD 0.5 0.7" in done.out
    folder = done.out.splitlines()[-1].removeprefix("run folder: ")
    assert command("evaluate", f"run={folder}", "data.batch_size=3", "allow=mycells.*").status == 0

    missing = command("train", *(word for word in own if word != "+data.steps=5"))
    assert (missing.status, "data.steps must be given" in missing.err) == (2, True)
    chosen = command("train", "optimizer=adam", "optimizer._target_=torch.optim.SGD", *TINY)
    assert (chosen.status, "optimizer=own has no keys of another" in chosen.err) == (2, True)


def test_a_group_without_an_option_is_null_or_none(command: Command) -> None:
    without = ["initializer=null", "~front", "top=null", "scheduler=null", "augmentation=null", "~vocabulary"]
    without += ["regularizers=null", "logger=null", "~callbacks.lr_monitor", "callbacks.early_stopping=null"]
    done = command("train", *TINY, *without)
    assert done.status == 0, done.err
    folder = done.out.splitlines()[-1].removeprefix("run folder: ")
    refused = command("evaluate", f"run={folder}", "trainer=ddp_sim")
    assert (refused.status, "such as trainer.accelerator=cpu trainer.devices=1" in refused.err) == (2, True)
    for word, hint in {"pooling": "pooling=... sets it", "optimizer": "optimizer=... chooses one"}.items():
        for removed in (f"{word}=null", f"~{word}"):
            wrong = command("train", removed)
            assert (wrong.status, hint in wrong.err) == (2, True), wrong.err


def test_cells_data_and_doctor_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_command(["cells"]) == 0
    cells = capsys.readouterr().out
    for text in (
        "lstm_no_output_gate",
        "MinGRUCell",
        "h_t = o_t ⊙ tanh(c_t)",
        "Elman, 1990",
        "native, fused, eager",
        "[x_t",
    ):
        assert text in cells, text
    assert run_command(["data", "list"]) == 0
    assert "Hochreiter" in capsys.readouterr().out
    assert run_command(["data", "verify", "digits"]) == 0
    assert run_command(["data", "verify", "mnist", f"paths.data_dir={tmp_path}"]) == 1
    assert run_command(["data", "verify", "mnits"]) == 2
    capsys.readouterr()
    assert run_command(["doctor"]) == 0
    report = capsys.readouterr().out
    assert "lightning" in report
    assert "compiled kernels" in report
    assert "all cells, by" in report
    assert "tried with gru" in report


def test_the_doctor_asks_about_every_device_and_says_what_a_gpu_would_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_devices", lambda: ["cpu"])
    assert doctor.main([]) == 0
    assert "NVIDIA GPU would run" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "_devices", lambda: ["meta"])  # a device on which nothing can be computed
    assert doctor.main([]) == 0
    report = capsys.readouterr().out
    assert "back-ends on meta" in report
    assert "checked on cpu and cuda, not on meta" in report
    assert "would run" not in report


def test_the_real_files_are_those_that_were_published(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["data", "verify", "mnist", f"paths.data_dir={data_dir}"]) == 0
    assert capsys.readouterr().out.count("ok ") == 4


@pytest.mark.parametrize(
    ("overrides", "data"),
    [
        (["task=language_modeling"], ["data=python_docs"]),
        (["task=regression", "cell=gru"], ["data=adding"]),
        (["task=language_modeling", "data=text"], []),
        (["task=regression", "experiment=ett"], []),
        (["task=classification"], []),
        ([], []),
        (["task=regression", "data._target_=mine.Data"], ["data=own"]),
        (["cell._target_=mine.A", "optimizer._target_=torch.optim.SGD"], ["cell=own", "optimizer=own"]),
        (["cell=elman", "cell._target_=mine.A", "trainer._target_=mine.Trainer"], []),
        (["experiment=digits_lstm", "cell._target_=mine.A"], []),
    ],
)
def test_a_task_without_data_is_tried_on_a_set_that_needs_no_file(overrides: list[str], data: list[str]) -> None:
    assert implied(overrides) == data
