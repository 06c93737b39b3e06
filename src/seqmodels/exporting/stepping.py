"""One step at a time through a trained network."""

from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.layers import EveryStep, LastStep, Recurrent
from seqmodels.models import CTCNetwork, LanguageModel, SequenceNetwork


def refuses_steps(network: nn.Module) -> str | None:
    """Return why a network cannot advance one step at a time, or None if it can.

    Example:
        >>> refuses_steps(nn.Linear(2, 3))
        'it is a Linear, which reads no steps one after the other'
    """
    if isinstance(network, LanguageModel):
        return None
    if not isinstance(network, SequenceNetwork | CTCNetwork):
        return f"it is a {type(network).__name__}, which reads no steps one after the other"
    backwards = any(isinstance(layer, Recurrent) and layer.reverse for layer in network.recurrent.modules())
    top, pooling = getattr(network, "top", None), getattr(network, "pooling", None)
    reasons = {
        "its layers read a sequence in both directions, and so need its end": backwards,
        "its convolution reads several steps at once": network.front is not None,
        f"its {type(top).__name__} reads all steps at once": top is not None,
        f"its output is pooled over all steps ({type(pooling).__name__}), not taken from the last or every one": (
            pooling is not None and not isinstance(pooling, LastStep | EveryStep)
        ),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def stepped(network: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Read one step; return outputs ``(batch, output)`` and the state after it.

    Args:
        network: one that :func:`refuses_steps` does not refuse.
        x: numbers ``(batch, input)`` as the network reads them, or tokens ``(batch,)``.
        state: that of the last step; None at the start.
    """
    if isinstance(network, LanguageModel):
        return network.step(x, state)
    assert isinstance(network, SequenceNetwork | CTCNetwork)
    embedding = getattr(network, "embedding", None)
    y, state = network.recurrent(x[:, None] if embedding is None else embedding(x[:, None]), state)
    output: Tensor = network.read_out(y[:, 0])
    return output, state


def checked_step(x: Any, *, tokens: bool, size: int, device: torch.device) -> Tensor:
    """Return the input of a step as a tensor.

    Args:
        x: numbers ``(batch, size)``, or tokens ``(batch,)``.
        tokens: which of the two it must be.
        size: number of features, or of tokens.
        device: of the network.

    Raises:
        ValueError: it is the other one, or of another shape, or a token is outside the vocabulary.
    """
    given = torch.as_tensor(x)
    if tokens:
        if given.dim() != 1 or given.is_floating_point() or given.is_complex():
            raise ValueError(f"a step must be tokens (batch,), got {given.dtype} {tuple(given.shape)}")
        if len(given) and not 0 <= int(given.min()) <= int(given.max()) < size:
            raise ValueError(f"a token must be 0 to {size - 1}, got {given.tolist()}")
        return given.long().to(device)
    if given.dim() != 2 or given.shape[1] != size:
        raise ValueError(f"a step must be numbers (batch, {size}), got shape {tuple(given.shape)}")
    return given
