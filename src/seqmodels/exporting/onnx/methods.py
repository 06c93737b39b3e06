"""Methods of a network that run its graph, to measure the network by what was exported."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.data import Words
from seqmodels.exporting.checking import Run
from seqmodels.exporting.interface import Graph, filled, named_leaves
from seqmodels.models import CTCNetwork, LanguageModel, SequenceNetwork, Tagger
from seqmodels.models.forecaster import Forecaster
from seqmodels.models.language_model import Read


def methods_of(model: nn.Module, graph: Graph, run: Run) -> dict[str, Callable[..., Any]]:
    """Return what stands in for methods of a network in evaluation, by name; none where several graphs compute it.

    Args:
        model: the network.
        graph: which is exported.
        run: runs what was exported.
    """
    if isinstance(model, LanguageModel):
        return _language_model(model, run)
    if isinstance(model, Forecaster):
        return {"forward": _forecaster(graph, run)}
    if not isinstance(model, SequenceNetwork | Tagger | CTCNetwork):
        return {}

    def forward(inputs: Any, lengths: Tensor | None = None) -> Any:
        words = [*inputs] if isinstance(inputs, Words) else [inputs]
        batch, time = words[0].shape[:2]
        lengths = torch.full((batch,), time) if lengths is None else lengths
        missing = -time % graph.multiples.get("time", 1)
        words[0] = F.pad(words[0], [0, 0] * (words[0].dim() - 2) + [0, missing])
        given = dict(zip(("tokens", "spelling", "letters", "letter_lengths"), words, strict=False))
        given |= {"inputs": words[0], "lengths": lengths}
        names = [port.name for port in graph.inputs if port.name in given]
        output, *others = run([given[name] for name in names])
        if not isinstance(model, CTCNetwork):
            return output
        return output, others[0] if others else lengths

    return {"forward": forward}


def _language_model(model: LanguageModel, run: Run) -> dict[str, Callable[..., Any]]:
    def read(tokens: Tensor, state: Any = None, lengths: Tensor | None = None) -> Read:
        state = model.initial_state(len(tokens)) if state is None else state
        lengths = torch.full((len(tokens),), tokens.shape[1]) if lengths is None else lengths
        logits, *after = run([tokens, lengths, *named_leaves(state, "state").values()])
        return Read(logits, logits, filled(state, after))

    def losses(features: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(features, targets, reduction="none")

    return {"read": read, "losses": losses}


def _forecaster(graph: Graph, run: Run) -> Callable[..., Tensor]:
    def forward(
        inputs: Tensor,
        known: Tensor,
        targets: Tensor | None = None,  # noqa: ARG001  (of training)
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Tensor:
        too_many = inputs.shape[1] % graph.multiples.get("time", 1)
        given = {"inputs": inputs[:, too_many:], "known": known, "static": static, "series": series}
        found: list[Any] = [given[port.name] for port in graph.inputs]
        return run(found)[0]

    return forward
