"""Keras' weight lists, against Keras' documented equations written out in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from seqmodels import unroll
from seqmodels.cells import ElmanCell, GRUCell, JordanCell, LSTMCell, ResetAfterGRUCell
from seqmodels.interop import from_keras, to_keras
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, UNITS = 3, 7, 4, 5
EXACT = TOLERANCE[torch.float64]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(BATCH, TIME, INPUT))


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def simple_rnn(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    h, outputs = np.zeros((BATCH, UNITS)), []
    for t in range(TIME):
        h = np.tanh(X[:, t] @ kernel + bias + h @ recurrent_kernel)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def lstm(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    h, c, outputs = np.zeros((BATCH, UNITS)), np.zeros((BATCH, UNITS)), []
    for t in range(TIME):
        i, f, candidate, o = np.split(X[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def gru_reset_before(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    h, outputs = np.zeros((BATCH, UNITS)), []
    for t in range(TIME):
        x_z, x_r, x_h = np.split(X[:, t] @ kernel + bias, 3, axis=-1)
        z = sigmoid(x_z + h @ recurrent_kernel[:, :UNITS])
        r = sigmoid(x_r + h @ recurrent_kernel[:, UNITS : 2 * UNITS])
        candidate = np.tanh(x_h + (r * h) @ recurrent_kernel[:, 2 * UNITS :])
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs, axis=1)


def gru_reset_after(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    h, outputs = np.zeros((BATCH, UNITS)), []
    for t in range(TIME):
        x_z, x_r, x_h = np.split(X[:, t] @ kernel + bias[0], 3, axis=-1)
        h_z, h_r, h_h = np.split(h @ recurrent_kernel + bias[1], 3, axis=-1)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        candidate = np.tanh(x_h + r * h_h)
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs, axis=1)


# Keras' equations, its class, its option, the number of gates, the shape of its bias, the cell
FORMS: dict[str, tuple[Any, Any, bool, int, tuple[int, ...], type]] = {
    "SimpleRNN": (simple_rnn, "SimpleRNN", True, 1, (UNITS,), ElmanCell),
    "LSTM": (lstm, "LSTM", True, 4, (4 * UNITS,), LSTMCell),
    "GRU reset before": (gru_reset_before, "GRU", False, 3, (3 * UNITS,), GRUCell),
    "GRU reset after": (gru_reset_after, "GRU", True, 3, (2, 3 * UNITS), ResetAfterGRUCell),
}


def weights_of(form: str) -> list[np.ndarray]:
    gates, bias_shape = FORMS[form][3:5]
    return [RANDOM.normal(size=shape) for shape in ((INPUT, gates * UNITS), (UNITS, gates * UNITS), bias_shape)]


@pytest.mark.parametrize("form", FORMS)
def test_a_cell_from_keras_computes_keras_equations(form: str) -> None:
    equations, kind, reset_after, _, _, cell_type = FORMS[form]
    weights = weights_of(form)
    cell = from_keras(kind, weights, reset_after=reset_after)
    assert type(cell) is cell_type
    assert_close(unroll(cell, torch.from_numpy(X))[0].detach().numpy(), equations(*weights), **EXACT)


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_without_bias_has_a_bias_of_0(form: str) -> None:
    equations, kind, reset_after, _, bias_shape, _ = FORMS[form]
    kernels = weights_of(form)[:2]
    y, _ = unroll(from_keras(kind, kernels, reset_after=reset_after), torch.from_numpy(X))
    assert_close(y.detach().numpy(), equations(*kernels, np.zeros(bias_shape)), **EXACT)


@pytest.mark.parametrize("form", FORMS)
def test_a_cell_goes_to_keras(form: str) -> None:
    equations, cell_type = FORMS[form][0], FORMS[form][5]
    cell = cell_type(INPUT, UNITS).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    weights = to_keras(cell)
    assert weights[2].shape == FORMS[form][4]
    assert_close(unroll(cell, torch.from_numpy(X))[0].detach().numpy(), equations(*weights), **EXACT)


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back_is_the_same_list_but_for_biases_that_sum(form: str) -> None:
    _, kind, reset_after, *_ = FORMS[form]
    weights = [array.astype(np.float32) for array in weights_of(form)]
    back = to_keras(from_keras(kind, weights, reset_after=reset_after))
    assert {array.dtype for array in back} == {np.dtype(np.float32)}
    for given, returned in zip(weights[:2], back[:2], strict=True):
        assert np.array_equal(given, returned)
    assert_close(back[2].reshape(-1, back[2].shape[-1]).sum(0), weights[2].reshape(-1, back[2].shape[-1]).sum(0))


def test_an_activation_of_a_simple_rnn_comes_over() -> None:
    cell = from_keras("SimpleRNN", weights_of("SimpleRNN"), activation="relu")
    assert isinstance(cell, ElmanCell)
    assert cell.activation == "relu"


def zeros(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [np.zeros(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("kind", "weights", "options", "message"),
    [
        ("RNN", [], {}, "kind must be 'SimpleRNN', 'LSTM' or 'GRU', got 'RNN'"),
        ("LSTM", zeros((4, 20)), {}, r"weights must be \[kernel, recurrent_kernel\] or \[..., bias\], got 1 arrays"),
        ("LSTM", zeros((4, 20), (5, 15)), {}, r"recurrent_kernel must have shape \(units, 4 \* units\), got \(5, 15\)"),
        ("LSTM", zeros((4, 15), (5, 20)), {}, r"kernel must have shape \(input, 20\), got \(4, 15\)"),
        ("LSTM", zeros((4, 20), (5, 20), (15,)), {}, r"bias must have shape \(20,\), got \(15,\)"),
        ("GRU", zeros((4, 15), (5, 15), (15,)), {}, r"with reset_after=True must have shape \(2, 15\), got \(15,\)"),
        ("GRU", zeros((4, 15), (5, 15), (2, 15)), {"reset_after": False}, r"must have shape \(15,\), got \(2, 15\)"),
        ("GRU", zeros((4, 15), (5, 15)), {"activation": "relu"}, "a converted GRU has tanh, got 'relu'"),
    ],
)
def test_a_wrong_list_is_named(kind: Any, weights: list[np.ndarray], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_keras(kind, weights, **options)


def test_a_cell_that_keras_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="Keras has no layer of JordanCell"):
        to_keras(JordanCell(INPUT, UNITS))
