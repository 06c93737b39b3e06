"""The run folder: complete files, and an error before training if it is not writable."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from seqmodels.commands.train import train as command
from seqmodels.errors import ConfigError, DiskFullError
from seqmodels.system.durable import durable_file, sha256_of
from seqmodels.system.json_text import read_json
from seqmodels.training.fit import train
from seqmodels.training.runs import prepare_run_folder, write_json
from tests.composing import PLAIN, TINY, composed
from tests.killing import answer_with_limit, killed_at_byte, killed_at_line, lines_that_matter

CONFIG = {"name": "first", "cell": {"hidden_size": 5}}


@pytest.fixture(params=["below a file", "a file", "not writable"])
def no_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path where no folder can be created, or a folder in which no files can."""
    file = tmp_path / "file"
    file.touch()
    return {"below a file": file / "run", "a file": file, "not writable": Path("/proc/run")}[request.param]


def test_a_folder_that_cannot_be_written_is_named_before_training(no_folder: Path) -> None:
    with pytest.raises(ConfigError, match=rf"paths\.output_dir={no_folder} cannot be written"):
        prepare_run_folder(no_folder, CONFIG)


def test_a_folder_for_checkpoints_that_cannot_be_written_is_named_before_training(
    no_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [*TINY, f"callbacks.model_checkpoint.dirpath='{no_folder}'", "cell.hidden_size=5", "logger=none"]
    with pytest.raises(ConfigError, match=rf"dirpath={no_folder}, for checkpoints, cannot be written"):
        train(composed(tmp_path / "run", *overrides))
    assert "epoch 1" not in capsys.readouterr().out


@pytest.mark.parametrize("flags", [[], ["-m"]])
def test_the_command_names_the_folder_before_it_starts(flags: list[str], no_folder: Path) -> None:
    kind = "sweep" if flags else "run"
    with pytest.raises(ConfigError, match=rf"the folder {no_folder} for the run cannot be written: "):
        command([*flags, f"hydra.{kind}.dir='{no_folder}'"])


@pytest.mark.parametrize("flags", [[], ["-m"]])
@pytest.mark.parametrize("result", ["metrics.json", "model/config.json", "checkpoints/best.ckpt"])
def test_a_folder_that_holds_another_run_is_refused_before_anything_is_written(
    flags: list[str], result: str, tmp_path: Path
) -> None:
    folder = tmp_path / "jobs" / "seed=2"
    (path := folder / result).parent.mkdir(parents=True)
    path.touch()
    place = [f"hydra.run.dir={folder}"]
    if flags:
        place = [f"hydra.sweep.dir={folder.parent}", "hydra.sweep.subdir=${hydra.job.override_dirname}", "seed=1,2"]
    with pytest.raises(ConfigError, match=rf"{folder} already holds another run \({result.split('/', maxsplit=1)[0]}"):
        command([*flags, *place])
    assert [found for found in folder.parent.rglob("*") if found.is_file()] == [path]


def test_jobs_are_added_to_the_folder_of_an_earlier_multirun_under_other_names(tmp_path: Path) -> None:
    (tmp_path / "seed=1").mkdir()
    (tmp_path / "seed=1" / "metrics.json").touch()
    name = ["hydra.sweep.subdir=${hydra.job.override_dirname}", f"hydra.sweep.dir={tmp_path}"]
    assert command(["-m", *name, "seed=-1,-2"]) == 1, "refused for their seeds, which the jobs check"
    assert (tmp_path / "seed=-2" / ".hydra").is_dir()


def test_what_a_killed_run_has_left_goes_as_the_next_begins(tmp_path: Path) -> None:
    prepare_run_folder(tmp_path, CONFIG)
    (tmp_path / "checkpoints").mkdir()

    def work() -> None:
        with durable_file(tmp_path / "checkpoints" / "last.ckpt") as file:
            file.write(bytes(9999))

    assert killed_at_byte(work, 99) < 0
    assert list((tmp_path / "checkpoints").iterdir())
    prepare_run_folder(tmp_path, CONFIG)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_run_that_is_killed_as_it_begins_leaves_whole_files(tmp_path: Path) -> None:
    prepare_run_folder(tmp_path, CONFIG)
    second = {**CONFIG, "name": "second"}
    work, files = partial(prepare_run_folder, tmp_path, second), ("durable.py", "runs.py", "pathlib.py")
    seen = []
    for line in lines_that_matter(work, files, tmp_path):
        prepare_run_folder(tmp_path, CONFIG)
        assert killed_at_line(work, files, line) < 0
        config = OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml"))
        assert config in (CONFIG, second)
        assert json.loads((tmp_path / "environment.json").read_text())["packages"]
        seen.append(config)
    assert CONFIG in seen
    assert second in seen


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    content = {"test/accuracy": 0.5, "name": "\u20ac", "list": [1, None]}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content
    assert "\u20ac" in (tmp_path / "x.json").read_text("utf-8")


def test_numbers_that_json_does_not_have_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"test/auroc": float("nan"), "deep": [(float("inf"), 1.5, {"x": -float("inf")})]})
    assert read_json(tmp_path / "x.json") == {"test/auroc": None, "deep": [[None, 1.5, {"x": None}]]}
    assert not re.search("NaN|Infinity", (tmp_path / "x.json").read_text())


def test_a_run_keeps_its_best_checkpoints_and_the_last_each_with_its_sha256(tmp_path: Path) -> None:
    checkpoint = ["callbacks.model_checkpoint.filename='{epoch}'", "callbacks.model_checkpoint.save_top_k=2"]
    train(composed(tmp_path, *TINY, *checkpoint, "trainer.max_epochs=5", "cell.hidden_size=5", "logger=none"))
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    kept = {name for name in names if name.endswith(".ckpt")}
    assert len(kept - {"last.ckpt", "previous.ckpt"}) == 2
    assert names == kept | {f"{name}.sha256" for name in kept}
    for name in kept:
        assert (tmp_path / "checkpoints" / f"{name}.sha256").read_text() == (
            f"{sha256_of(tmp_path / 'checkpoints' / name)}  {name}\n"
        )


def test_a_run_without_room_for_checkpoints_goes_on_to_its_end_where_that_is_asked_for(tmp_path: Path) -> None:
    overrides = [*TINY, *PLAIN, "cell.hidden_size=5", "logger=none", "callbacks.progress=null"]

    def work(action: str) -> str:
        try:
            return json.dumps(train(composed(tmp_path / action, *overrides, f"on_full_disk={action}")))
        except DiskFullError as error:
            return str(error)

    assert "test/loss" in json.loads(answer_with_limit(partial(work, "warn"), 12_000))
    assert "best.ckpt: File too large" in answer_with_limit(partial(work, "stop"), 12_000)
    for action in ("warn", "stop"):
        assert not list((tmp_path / action / "checkpoints").iterdir())
