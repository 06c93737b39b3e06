"""JAX and Keras as sides of a comparison, where they are installed; each computes one training step or inference."""

import importlib.util
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarking.cases import Shape


@lru_cache(maxsize=1)
def jax_missing() -> str | None:
    """Say why JAX takes no part, or None."""
    return None if importlib.util.find_spec("jax") else "jax: not installed"


@lru_cache(maxsize=1)
def keras_missing() -> str | None:
    """Say why Keras takes no part, or None. It runs on torch, on which it can be driven like any module."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    if importlib.util.find_spec("keras") is None:
        return "keras: not installed"
    import keras  # noqa: PLC0415 - optional

    return None if keras.backend.backend() == "torch" else "keras: set KERAS_BACKEND=torch"


def jax_side(peer: type[nn.Module], shape: Shape, mode: str) -> Callable[[], Any]:
    """Return a scan over the equations of ``peer``, the input product outside of it, under ``jit``."""
    import jax  # noqa: PLC0415 - optional
    import jax.numpy as jnp  # noqa: PLC0415

    hidden = shape.hidden

    def lstm(u: Any, carry: Any, wx: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(wx + h @ u, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(u: Any, carry: Any, wx: Any) -> Any:
        (h,) = carry
        z, r = jnp.split(jax.nn.sigmoid(wx[:, : 2 * hidden] + h @ u[:, : 2 * hidden]), 2, -1)
        h = (1 - z) * h + z * jnp.tanh(wx[:, 2 * hidden :] + (r * h) @ u[:, 2 * hidden :])
        return (h,), h

    def rnn(u: Any, carry: Any, wx: Any) -> Any:
        h = jnp.tanh(wx + carry[0] @ u)
        return (h,), h

    gates, leaves, cell = {nn.LSTM: (4, 2, lstm), nn.GRU: (3, 1, gru), nn.RNN: (1, 1, rnn)}[peer]
    random = np.random.default_rng(0)

    def draw(*size: int) -> Any:
        return jnp.asarray(random.standard_normal(size, dtype=np.float32) * hidden**-0.5)

    parameters = {"w": draw(shape.input, gates * hidden), "u": draw(hidden, gates * hidden), "b": draw(gates * hidden)}
    x, dy = draw(shape.time, shape.batch, shape.input), draw(shape.time, shape.batch, hidden)

    def outputs(parameters: Any, x: Any) -> Any:
        carry = (jnp.zeros((shape.batch, hidden)),) * leaves
        return jax.lax.scan(lambda *a: cell(parameters["u"], *a), carry, x @ parameters["w"] + parameters["b"])[1]

    loss = jax.value_and_grad(lambda parameters, x: (outputs(parameters, x) * dy).sum(), (0, 1))
    function = jax.jit(loss if mode == "train" else outputs)
    return lambda: jax.block_until_ready(function(parameters, x))


def keras_side(peer: type[nn.Module], shape: Shape, mode: str) -> Callable[[], Any]:
    """Return Keras's layer of the same kind, on torch."""
    import keras  # noqa: PLC0415 - optional

    layers = {nn.LSTM: keras.layers.LSTM, nn.GRU: keras.layers.GRU, nn.RNN: keras.layers.SimpleRNN}
    layer = layers[peer](shape.hidden, return_sequences=True)
    layer.build((shape.batch, shape.time, shape.input))
    x = torch.randn(shape.batch, shape.time, shape.input)
    dy = torch.randn(shape.batch, shape.time, shape.hidden)
    if mode == "inference":

        def infer() -> Any:
            with torch.no_grad():
                return layer(x)

        return infer
    leaf = x.requires_grad_()
    inputs = [leaf, *(variable.value for variable in layer.trainable_variables)]
    return lambda: torch.autograd.grad(layer(leaf, training=True), inputs, dy)
