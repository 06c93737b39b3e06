"""``seqmodels export``: every format writes a whole folder or nothing, and errors are one line and status 2."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from seqmodels.cli import run
from seqmodels.errors import ConfigError
from seqmodels.exporting import job
from seqmodels.exporting.job import FORMATS
from seqmodels.system.durable import write_durably
from seqmodels.tasks import Task
from seqmodels.training.checkpoint_file import DurableCheckpointIO
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.checkpointing import build_task, recipe_of
from seqmodels.training.fit import check_config, load_data
from seqmodels.training.model_folder import load_model
from seqmodels.training.runs import resolved_config
from tests.composing import PLAIN, composed
from tests.killing import killed_at_byte


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Task]:
    """A checkpoint of a classifier of texts with random weights, and its task."""
    folder = tmp_path_factory.mktemp("export")
    table = folder / "texts.csv"
    words = ["fine", "dull", "film", "plot"]
    rows = [f"{words[row % 4]} {words[row % 3]},{('good', 'bad')[row % 2]}\n" for row in range(30)]
    table.write_text("".join(["text,label\n", *rows]), encoding="utf-8")
    own = [f"data.path='{table}'", "cell=lstm", "cell.hidden_size=5", "model.embedding_size=3", *PLAIN]
    config = composed(folder / "run", "data=text_csv", "vocabulary.min_frequency=1", "logger=none", *own)
    data = load_data(check_config(config), "fit")
    recipe = recipe_of(resolved_config(config), data)
    torch.manual_seed(3)
    task = build_task(config, data.sizes, data.preprocessing)
    content = {"format": FORMAT, "recipe": recipe, "state_dict": task.state_dict()}
    DurableCheckpointIO().save_checkpoint(content, folder / "run" / "checkpoints" / "best.ckpt")
    return folder / "run", task.eval()


def export(saved: tuple[Path, Task], output: Path, *options: str) -> int:
    return run(["export", f"run={saved[0]}", f"output={output}", *options])


def test_a_folder_is_the_network(saved: tuple[Path, Task], tmp_path: Path) -> None:
    assert export(saved, tmp_path / "model", "format=folder") == 0
    tokens = torch.tensor([[2, 3, 4], [3, 2, 0]])
    found = load_model(tmp_path / "model")(tokens, torch.tensor([3, 2]))
    assert torch.equal(found, saved[1].model(tokens, torch.tensor([3, 2])))
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"config.json", "model.safetensors", "README.md"}


def test_a_program_of_torch_export_and_the_weights_of_torch_nn_compute_the_same(
    saved: tuple[Path, Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(saved, tmp_path / "pt2", "format=torch") == 0
    assert "preprocessing by seqmodels.data." in capsys.readouterr().out
    program: Any = torch.export.load(tmp_path / "pt2" / "model.pt2").module()
    tokens, lengths = torch.tensor([[2, 3, 4, 2, 2], [3, 2, 0, 0, 0]]), torch.tensor([5, 2])
    model: Any = saved[1].model
    state = [torch.zeros(2, 5), torch.zeros(2, 5)]
    output, *after = program(tokens, lengths, *state)
    torch.testing.assert_close(output, model(tokens, lengths))
    arguments = json.loads((tmp_path / "pt2" / "torch_nn.json").read_text())
    layer = torch.nn.LSTM(**{name: value for name, value in arguments.items() if name != "class"})
    layer.load_state_dict(load_file(tmp_path / "pt2" / "torch_nn.safetensors"))
    _, (h, _) = layer(model.embedding(tokens[:1]))
    torch.testing.assert_close(after[0][0], h[0, 0])


def test_onnx_files_have_what_the_graph_leaves_out_beside_them(
    saved: tuple[Path, Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert export(saved, tmp_path / "onnx", "format=onnx") == 0
    printed = capsys.readouterr().out
    assert "model.onnx: 1 LSTM; largest difference" in printed
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    beside = json.loads((tmp_path / "onnx" / "preprocessing.json").read_text())
    assert [port.name for port in session.get_inputs()] == ["inputs", "lengths"]
    assert [*beside["graphs"]["model"]["inputs"]] == ["inputs", "lengths", "state.0.h", "state.0.c"]
    assert beside["class_names"] == ["bad", "good"]
    tokens = torch.tensor([[2, 3, 4]])
    (found, *_) = session.run(None, {"inputs": tokens.numpy(), "lengths": torch.tensor([3]).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), saved[1].model(tokens), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["format=onnxx"], "format must be one of folder, onnx, c, torch.*got 'onnxx'; did you mean 'onnx'"),
        (["format=torch", "dtype=int8"], "dtype=int8 is for format=onnx or c, not for format=torch"),
        (["format=torch", "dtype=int4"], "dtype must be float32 or int8, got 'int4'"),
        (["format=torch", "tolerance=-1"], "tolerance must be a number of at least 0, got -1"),
        (["format=torch", "ckpt=last"], "ckpt=last: there is no file"),
    ],
    ids=str,
)
def test_a_wrong_option_is_an_error_and_writes_nothing(
    saved: tuple[Path, Task], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    assert export(saved, tmp_path / "out", *options) == 2
    assert re.search(reason, capsys.readouterr().err)
    assert not [*tmp_path.iterdir()]


def test_a_difference_above_the_tolerance_writes_nothing(
    saved: tuple[Path, Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert export(saved, tmp_path / "out", "format=onnx", "tolerance=0") == 2
    assert "which is more than tolerance=0: nothing was written" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_exists_is_not_overwritten(
    saved: tuple[Path, Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert export(saved, tmp_path, "format=folder") == 2
    assert "exists and is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_is_filled_meanwhile_is_not_overwritten(
    saved: tuple[Path, Task], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(job: Any) -> tuple[dict[str, bytes], list[str]]:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        return {"model.c": b""}, []

    monkeypatch.setitem(FORMATS, "folder", other)
    assert export(saved, tmp_path / "out", "format=folder") == 2
    assert "cannot be written: it was filled meanwhile" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_of_two_exports_to_one_folder_at_a_time_one_is_whole_and_the_other_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=60)

    def write(path: Path, content: Any) -> str:
        both.wait()  # each writes its file while the other does
        return write_durably(path, content)

    def written(number: int) -> str:
        files = {f"{name}.{number}": bytes([number]) * 1000 for name in "abc"}
        try:
            job._write(tmp_path / "out", files)
        except ConfigError as error:
            return str(error)
        return ""

    monkeypatch.setattr(job, "write_durably", write)
    with ThreadPoolExecutor(2) as pool:
        said = [*pool.map(written, (1, 2))]
    assert sorted(said) == [
        "",
        f"output={tmp_path / 'out'} cannot be written: it was filled meanwhile, perhaps by another export",
    ]
    winner = said.index("") + 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.{winner}" for name in "abc"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path: Path) -> None:
    def killed() -> None:
        job._write(tmp_path / "out", {"model.c": bytes(100_000)})

    assert killed_at_byte(killed, 50_000) < 0
    assert len([*tmp_path.iterdir()]) == 1
    job._write(tmp_path / "out", {"model.c": b"whole"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
