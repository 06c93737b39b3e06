"""Weights in int8: a smaller file that computes almost the same."""

import re

import pytest
import torch

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import onnx

from seqmodels.cells import LSTMCell, MGUCell
from seqmodels.exporting.onnx import export_onnx
from seqmodels.layers import recurrent_stack


def test_weights_of_an_lstm_and_of_a_scan_are_int8_and_the_difference_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")
    torch.manual_seed(0)
    files, lines = export_onnx(recurrent_stack([LSTMCell, MGUCell], 4, hidden_sizes=[64, 96]), dtype="int8")
    said = re.fullmatch(r"layer\.onnx in int8: (\d+) bytes of (\d+); largest difference (.*)", lines[1])
    assert said is not None, lines
    size, whole, difference = float(said[1]), float(said[2]), float(said[3])
    assert size == len(files["layer.onnx"])
    assert size < 0.4 * whole
    assert 1e-5 < difference < 0.05
    model = onnx.load_from_string(files["layer.onnx"])
    (body,) = [a.g for node in model.graph.node if node.op_type == "Scan" for a in node.attribute if a.name == "body"]
    assert "DynamicQuantizeLSTM" in [node.op_type for node in model.graph.node]
    assert [node.op_type for node in body.node].count("MatMulInteger") == 2
