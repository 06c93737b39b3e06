"""What the tokens of a written text rest on: contributions of the source that sum to the difference of each token."""

from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from seqmodels.inspection.attribution import written as module
from seqmodels.inspection.attribution.decisions import log_odds
from seqmodels.inspection.attribution.weights import weights_of
from seqmodels.inspection.attribution.written import explain_written, written
from seqmodels.tasks import Seq2Seq
from tests.tasks.test_seq2seq import rows_of, strings, task_of

SOURCE = "abcda"
OPTIONS: dict[str, dict[str, Any]] = {"attention": {}, "no attention": {"attention": None}, "copying": {"copy": True}}


def trained(**options: Any) -> Seq2Seq:
    """A task whose weights are large enough to prefer some tokens."""
    torch.manual_seed(0)
    task = task_of(strings(), **options).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(3)
    return task


@pytest.mark.parametrize("name", OPTIONS)
def test_contributions_of_the_source_sum_to_the_difference_of_each_written_token(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = trained(**OPTIONS[name])
    batch, read, tokens = task.written(SOURCE)
    prediction = task.model(batch.inputs, read, batch.lengths, copies=task.predictor.copies_of(batch))
    wanted = log_odds(prediction.log_probs[0].double(), torch.tensor(tokens))
    monkeypatch.setattr(module, "AT_ONCE", 3)
    parts = written(task, SOURCE)
    assert [step for part in parts for step in part.steps] == list(range(len(tokens)))
    for part in parts:
        scores = part.score(part.inputs)
        torch.testing.assert_close(scores, wanted[part.steps], rtol=1e-4, atol=1e-4)
        found = weights_of(part, "integrated_gradients", tokens=True)
        sums = found.values.sum((1, 2))
        missing = (sums - (scores - part.score(torch.zeros_like(part.inputs)))).abs()
        assert bool((missing <= 0.01 * (scores - part.score(torch.zeros_like(part.inputs))).abs() + 1e-5).all())
        assert float(found.values.abs().sum()) > 0


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_the_page_has_a_picture_of_source_by_output_for_each_row(method: str) -> None:
    task, batch = trained(), rows_of(strings())
    batch = batch._replace(texts=batch.texts[:2])
    config = OmegaConf.create({"method": method, "target": None, "step": None})
    found = explain_written(task, batch, config)
    assert list(found.figures) == [f"Row {row}: {text.source}" for row, text in enumerate(batch.texts)]
    for row, figure in enumerate(found.figures.values()):
        (trace,) = figure["data"]
        pieces = task.preprocessing.source_pieces(batch.texts[row].source)
        assert figure["layout"]["xaxis"]["ticktext"] == pieces
        assert figure["layout"]["yaxis"]["ticktext"][-1] == "<eos>".replace("<", "&lt;").replace(">", "&gt;")
        assert np.shape(trace["z"]) == found.arrays[f"{row}/contributions"].shape
        assert found.arrays[f"{row}/contributions"].shape[1] == len(pieces)
    assert "In row 0 " in found.sentence


def test_what_cannot_be_explained_of_a_written_text_is_refused() -> None:
    task, batch = trained(), rows_of(strings())
    config = OmegaConf.create({"method": "occlusion", "target": "a", "step": None})
    with pytest.raises(ValueError, match="leave out target= and step="):
        explain_written(task, batch, config)
    with pytest.raises(ValueError, match="split=train"):
        explain_written(task, batch._replace(texts=[]), OmegaConf.create({**config, "target": None}))
