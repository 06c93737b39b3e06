"""The precision of cuDNN's products in float32."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def as_precise_as_matmul(kernel: Callable[[], Sequence[Tensor]]) -> Sequence[Tensor]:
    """Run a recurrent kernel of cuDNN, and later its backward pass, with the precision of ``torch.matmul``.

    By default cuDNN rounds float32 to TensorFloat-32, with 10 bits of mantissa in place of 23, and matrix products do
    not, so that the results of a cell would depend on its back-end. The setting of cuDNN is that of the process; it is
    changed for the two calls only, and both get the same one: what the forward pass leaves for the backward pass may
    depend on it.

    Args:
        kernel: calls cuDNN once, and returns tensors of one node of autograd's graph.

    Returns:
        What ``kernel`` returned.
    """
    wanted = "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"
    before = _set(wanted)
    try:
        results = kernel()
    finally:
        _set(before)
    node = results[0].grad_fn
    if node is not None and before != wanted:
        replaced: list[str] = []

        def begin(gradients: object) -> None:
            del gradients
            replaced.append(_set(wanted))

        def end(gradients: object, outputs: object) -> None:
            del gradients, outputs
            _set(replaced.pop())

        node.register_prehook(begin)
        node.register_hook(end)
    return results


def _set(precision: str) -> str:
    """Set the precision of cuDNN's recurrent kernels; return what it was."""
    settings: Any = torch.backends.cudnn.rnn
    before: str = settings.fp32_precision
    if precision != before:
        settings.fp32_precision = precision
    return before
