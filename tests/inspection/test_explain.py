"""``seqmodels explain``: what it finds in runs, before, during and after their training, and what it refuses."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.inspection import GradientFlow, gradient_norms, recorded
from seqmodels.inspection.callback import Allowance
from seqmodels.inspection.gradients import _untrained
from seqmodels.inspection.report.history import read_history
from seqmodels.inspection.subject import subject_of
from seqmodels.layers import Recurrent
from seqmodels.sequence import leaves, map_leaves
from seqmodels.training import train
from tests.composing import PLAIN, TINY, composed

CELL = "recurrent.layers.0.cell"


class Start(Callback):
    """Keeps the weights that a training starts from."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.model.state_dict().items()}


@pytest.fixture(scope="module")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "own.csv"
    rows = [f"{'good fine' if i % 2 else 'bad'} film {'x ' * (i % 5)},{'pos' if i % 2 else 'neg'}\n" for i in range(40)]
    path.write_text("text,label\n" + "".join(rows))
    return path


@pytest.fixture(scope="module")
def start() -> Start:
    return Start()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, csv_file: Path, start: Start) -> Path:
    """A run of one epoch, measured at every step."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ["data=text_csv", f"data.path={csv_file}", "cell=gru", "cell.hidden_size=5", "data.batch_size=4"]
    options += [*PLAIN, *TINY, "trainer.limit_train_batches=3", "callbacks=[default,gradient_flow]", "baselines=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Allowance, "permits", lambda *_: True)
        train(composed(folder, *options), start)
    return folder


def options_of(run: Path, **changed: Any) -> Any:
    from omegaconf import OmegaConf

    values = {"run": str(run), "ckpt": None, "input": None, "format": None, "split": "val", "rows": 3}
    return OmegaConf.create({**values, **changed})


def test_a_run_is_explained_before_during_and_after_training(run: Path, command: Callable[..., Any]) -> None:
    answer = command("explain", f"run={run}", "rows=3")
    assert answer.status == 0, answer.err
    assert "vanishing below 1e-03, exploding above 1e+03" in answer.out
    assert answer.out.startswith(f"{CELL}: ")
    assert "Before training this cell was " in answer.out
    found = json.loads((run / "explain" / "gradients.json").read_text())
    arrays = found["arrays"]
    assert np.diff(arrays[f"during training/half_life/{CELL}/step"]).tolist() == [1, 1]
    assert len(arrays[f"during training/half_life/{CELL}"]) == 3
    before, after = (arrays[f"{when} training/{CELL}/log10 of Jacobian norm"] for when in ("before", "after"))
    assert np.shape(before) == np.shape(after) == (3, len(arrays[f"after training/{CELL}/steps back"]))
    assert before != after
    page = (run / "explain" / "gradients.html").read_text()
    assert "During training: half-life in steps" in page
    assert "<script src=" not in page


def test_the_untrained_model_has_the_weights_that_training_began_with(run: Path, start: Start) -> None:
    subject, random = subject_of(options_of(run)), torch.get_rng_state()
    task = _untrained(subject)
    assert task is not None
    assert torch.equal(torch.get_rng_state(), random)
    assert set(start.weights) == set(task.model.state_dict())
    assert all(torch.equal(value, start.weights[name]) for name, value in task.model.state_dict().items())


@pytest.mark.parametrize("header", ["text,label", "text"])
def test_a_file_with_or_without_targets_is_followed(header: str, run: Path, command: Callable[..., Any]) -> None:
    row = "a good film,pos" if "label" in header else "a good film"
    Path("new.csv").write_text(f"{header}\n{row}\n{row}\n")
    answer = command("explain", f"run={run}/model", "input=new.csv", "output=out")
    assert answer.status == 0, answer.err
    arrays = json.loads(Path("out", "gradients.json").read_text())["arrays"]
    assert arrays[f"after training/{CELL}/length"] == [3, 3]
    read = np.nan_to_num(np.array(arrays[f"after training/{CELL}/gradient of h"], dtype=float))
    assert (read > 0).any() == ("label" in header)
    assert ("The rows have no targets" in answer.out) == ("label" not in header)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["what=gradient"], "what must be one of gradients"),
        (["threshold=1"], "threshold must be a number above 1, got 1"),
        (["rows=0"], "rows must be a positive whole number, got 0"),
        (["split=dev"], "split must be one of train, val, test, got 'dev'"),
        (["input=none.csv"], "none.csv"),
        (["run=nowhere"], "run=nowhere: there is no such folder"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    tokens: list[str], message: str, run: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    answer = command("explain", f"run={run}", f"output={tmp_path / 'out'}", *tokens)
    assert answer.status == 2
    assert message in answer.err
    assert not (tmp_path / "out").exists()


def test_a_model_from_elsewhere_needs_a_folder_for_the_results(run: Path, command: Callable[..., Any]) -> None:
    run.joinpath("model").rename("model")
    try:
        answer = command("explain", "run=model", "input=new.csv")
    finally:
        Path("model").rename(run / "model")
    assert answer.status == 2
    assert "output=DIR" in answer.err


def test_measuring_changes_no_weight(run: Path, csv_file: Path, tmp_path: Path) -> None:
    from seqmodels.training import load_task

    options = ["data=text_csv", f"data.path={csv_file}", "cell=gru", "cell.hidden_size=5", "data.batch_size=4"]
    options += [*PLAIN, *TINY, "trainer.limit_train_batches=3", "baselines=false"]
    train(composed(tmp_path / "run", *options))
    one, other = (load_task(folder / "checkpoints" / "last.ckpt").state_dict() for folder in (run, tmp_path / "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("step", "count"), [(0.0001, 690), (0.002, 33), (0.004, 15)])
def test_measurements_stay_within_their_budget_from_the_first_on(step: float, count: int) -> None:
    allowance, now, steps = Allowance(0.05), 100.0, 256
    allowance.start(now)
    for _ in range(4000):
        now += 0.1
        if allowance.permits(steps, now):
            cost = steps * step * (2 if allowance.count % 7 == 6 else 1) + (0.2 if allowance.count == 0 else 0)
            now += cost
            allowance.spend(cost, steps)
            assert allowance.share(now) <= 0.05
    assert allowance.count >= count, "the time that is allowed is used"
    assert f"for {allowance.count} measurements" in allowance.summary(steps, now)


def test_a_measurement_that_is_slower_than_expected_delays_the_next() -> None:
    allowance, now = Allowance(0.05), 100.0
    allowance.start(now)
    allowance.spend(30.0, 10)
    assert not allowance.permits(10, now + 1799)
    assert allowance.permits(10, now + 1801)
    assert allowance.permits(1, now + 730), "a shorter sequence takes less"


def test_the_callback_reports_its_share_of_the_training(run: Path, tmp_path: Path, caplog: Any) -> None:
    shares = read_history(run)["gradient_flow/share"].values
    assert len(shares) == 3
    assert all(0 < share < 1 for share in shares)
    options = ["data=digits", "cell.hidden_size=5", *TINY, "trainer.limit_train_batches=2", "baselines=false"]
    options += ["callbacks=[default,gradient_flow]", "callbacks.gradient_flow.budget=1e-9"]
    with caplog.at_level(logging.INFO, logger="seqmodels"):
        train(composed(tmp_path / "run", *options))
    assert "measured nothing: that may take 1.0 s, which is more than 1e-07 %" in caplog.text
    assert not any(name.startswith("gradient_flow") for name in read_history(tmp_path / "run"))


def test_a_network_that_cannot_be_followed_is_trained_and_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Allowance, "permits", lambda allowance, *_: allowance.open)
    options = ["data=digits", "model=dense", *TINY, "trainer.limit_train_batches=3", "baselines=false"]
    options += ["callbacks=[default,gradient_flow]"]
    with caplog.at_level(logging.WARNING, logger="seqmodels"):
        assert train(composed(tmp_path / "run", *options))["steps"] == 3
    assert [record.message.split(":")[0] for record in caplog.records].count("the callback gradient_flow is off") == 1


def test_the_budget_of_the_callback_is_checked() -> None:
    for options in ({"budget": 0.0}, {"budget": 1.0}, {"rows": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            GradientFlow(**options)


def test_rows_that_start_again_are_refused_by_name() -> None:
    layer = Recurrent(GRUCell(2, 3))
    with recorded(layer) as recordings:
        layer(torch.randn(2, 4, 2), resets=torch.tensor([[False, False, True, False]] * 2))
    with pytest.raises(ValueError, match="cell: rows start again"):
        recordings[0].trajectory()
    assert list(gradient_norms(layer, torch.randn(2, 4, 2))) == ["cell"]


@pytest.mark.parametrize("cell", [GRUCell, LSTMCell])
def test_sequences_of_one_row_have_the_gradients_of_sequences_in_rows_of_their_own(cell: Any) -> None:
    layer, x, state = Recurrent(cell(2, 3)), torch.randn(2, 5, 2), cell(2, 3).initial_state(torch.zeros(2, 2))
    state = map_leaves(lambda leaf: leaf + 0.5, state)
    resets = torch.tensor([[False, False, True, False, True], [True, False, False, True, False]])
    lengths = torch.tensor([5, 4])
    with recorded(layer) as recordings:
        y, final = layer(x, state, lengths, resets=resets)
        (y.square().sum() + leaves(final)[0].sum()).backward()
    found = recordings[0].sequences()
    assert found.lengths.tolist() == [2, 2, 1, 3, 1]
    with recorded(layer) as alone:
        apart, last = layer(found.x, found.state, found.lengths)
        (apart.square().sum() + leaves(last)[0][[2, 4]].sum()).backward()
    pairs = [(y[0, :2], apart[0, :2]), (y[0, 2:4], apart[1, :2]), (y[1, :3], apart[3, :3]), (y[1, 3:4], apart[4, :1])]
    for one, other in pairs:
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(found.output_gradient, alone[0].output_gradient)
    torch.testing.assert_close(found.final_gradient(), alone[0].final_gradient())
