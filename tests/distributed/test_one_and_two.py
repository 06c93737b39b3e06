"""Two processes give the same results as one: the same losses, every row evaluated once."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seqmodels.data import AddingData
from seqmodels.data.sampling import EpochSampler
from seqmodels.training.fit import train
from tests.composing import PLAIN, composed
from tests.datasets import ready
from tests.distributed.faults import fault
from tests.distributed.ranks import SEQMODELS, ranks, run

pytestmark = [pytest.mark.dist, pytest.mark.xdist_group("dist")]

COMMON = ["threads=1", "cell=gru", "cell.hidden_size=5", "optimizer=sgd", "optimizer.lr=0.1", "logger=csv"]
COMMON += ["trainer.max_epochs=2", "trainer.limit_train_batches=3", "callbacks.progress=null"]
PAIRS = ["data=copy", "data.shortest=5", "data.longest=5", "data.bucketing=false", "model.embedding_size=6"]
PAIRS += ["data.train_rows=60", "data.val_rows=33", "data.test_rows=35"]
LABELS = ("red", "green", "blue")


def write_table(path: Path) -> None:
    """Write texts with any number of labels; the validation and test splits have odd numbers of rows."""
    words = [[f"w{(row * step + row // 11) % 37}" for step in range(2, 7)] for row in range(111)]  # all differ
    labels = [";".join(name for bit, name in enumerate(LABELS) if row >> bit & 1) for row in range(111)]
    lines = [f"{' '.join(text)},{label}" for text, label in zip(words, labels, strict=True)]
    path.write_text("text,labels\n" + "\n".join(lines) + "\n")


def write_series(path: Path) -> None:
    values = [math.sin(step / 5) + step / 100 for step in range(300)]
    path.write_text("value\n" + "\n".join(f"{value:.6f}" for value in values) + "\n")


def jobs(folder: Path) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Return for each task the common overrides, those of one process, and those of each of two."""
    table, series, text = folder / "table.csv", folder / "series.csv", folder / "text.txt"
    write_table(table)
    write_series(series)
    text.write_text("\n\n".join(f"the {n} quick foxes jump over {n * n} lazy dogs" * (n % 3 + 1) for n in range(60)))
    two, one = ["data.batch_size=8"], ["data.batch_size=16"]
    language = ["task=language_modeling", "data=text", f"data.path={text}", "data.bptt=7", f"data.cache_dir={folder}"]
    return {
        "classification": (["data=digits", *PLAIN], one, two),
        "multilabel": (["data=text_csv_multilabel", f"data.path={table}", "data.bucketing=false", *PLAIN], one, two),
        "regression": (["task=regression", "data=adding", "data.val_rows=33", "data.test_rows=35"], one, two),
        "forecasting": (["data=csv_series", f"data.path={series}", "task=forecasting"], one, two),
        "one text": (language, [*one, "data.eval_batch_size=2"], [*two, "data.eval_batch_size=1"]),
        "documents": ([*language, 'data.separator=""'], one, two),
        "pairs": (PAIRS, one, two),
    }


@pytest.mark.long
def test_every_task_has_the_same_losses_and_metrics_with_one_and_two_processes(tmp_path: Path) -> None:
    expected = jobs(tmp_path)
    two = {name: [*COMMON, *same, *share, "trainer=ddp_sim"] for name, (same, _, share) in expected.items()}
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "jobs.json").write_text(json.dumps(two))
    for ended in ranks("tests.distributed.every_task", tmp_path, str(tmp_path / "two")):
        assert ended.status == 0, ended.err
    for name, (same, whole, _) in expected.items():
        alone = train(composed(tmp_path / "one" / name, *COMMON, *same, *whole, "trainer=cpu"))
        together = json.loads((tmp_path / "two" / name / "metrics.json").read_text())
        assert set(together) == set(alone)
        for metric, value in alone.items():
            if metric != "seconds":
                assert together[metric] == pytest.approx(value, abs=1e-6, rel=1e-5, nan_ok=True), (name, metric)
        paths = [tmp_path / place / name / "record.json" for place in ("one", "two")]
        records = [json.loads(path.read_text())["test"] for path in paths]
        for kind in ("confusion", "labels"):
            assert records[0].get(kind) == records[1].get(kind), name
        worst = [[each["row"] for each in record.get("errors", [])] for record in records]
        assert worst[0] == worst[1], name
    written = [tmp_path / processes / "pairs" / "outputs.csv" for processes in ("one", "two")]
    assert written[0].read_text() == written[1].read_text()


@pytest.mark.long
@pytest.mark.parametrize(("cpp", "minimum"), [("0", 40), ("", 2)], ids=["all but cpp", "cpp"])
def test_every_cell_and_back_end_averages_its_gradients(cpp: str, minimum: int, tmp_path: Path) -> None:
    cache = str(tmp_path)  # cold: both processes compile the same kernels at once
    for ended in ranks("tests.distributed.every_backend", tmp_path, SEQMODELS_CPP=cpp, SEQMODELS_CACHE_DIR=cache):
        assert ended.status == 0, ended.err
        assert int(ended.out) >= minimum


@pytest.mark.parametrize(("size", "world_size"), [(1, 1), (7, 2), (359, 2), (10, 3), (5, 5)])
def test_no_row_is_evaluated_twice_and_training_fills_up_from_its_start(size: int, world_size: int) -> None:
    def order(rank: int, shuffle: bool) -> EpochSampler:
        return EpochSampler(size, seed=3, shuffle=shuffle, rank=rank, world_size=world_size)

    evaluated = [row for rank in range(world_size) for row in order(rank, False)]
    assert sorted(evaluated) == list(range(size))
    trained = [list(order(rank, True)) for rank in range(world_size)]
    assert len({len(rows) for rows in trained}) == 1
    assert {row for rows in trained for row in rows} == set(range(size))
    merged = torch.tensor(trained).T.flatten().tolist()
    assert merged[:size] == list(EpochSampler(size, seed=3, shuffle=True))  # the global batches of one process


@pytest.mark.long
def test_a_run_of_two_processes_goes_on_in_one(tmp_path: Path) -> None:
    settings = [*COMMON, *PLAIN, "callbacks.resume_points.every_n_steps=1"]
    two = [*settings, "trainer=ddp_sim", "data.batch_size=8", *fault(0, 4, "SIGKILL"), "hydra.run.dir=run"]
    assert run([*SEQMODELS, "train", *two], tmp_path).status == -9
    alone = [*settings, "trainer=cpu", "data.batch_size=16"]
    resumed = train(composed(tmp_path / "run", *alone, resume=True))
    for name, value in train(composed(tmp_path / "whole", *alone)).items():
        if name != "seconds":
            assert resumed[name] == pytest.approx(value, abs=1e-6, rel=1e-5), name


def test_a_split_with_fewer_rows_than_processes_is_refused() -> None:
    data = ready(AddingData, time=5, train_rows=4, val_rows=1, test_rows=4)
    data.trainer = SimpleNamespace(global_rank=1, world_size=2, overfit_batches=0)  # type: ignore[assignment]
    data.train_dataloader()
    with pytest.raises(ValueError, match="the val split has 1 rows, fewer than there are processes: 2"):
        data.val_dataloader()
