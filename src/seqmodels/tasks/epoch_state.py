"""Save and restore the metrics recorded within an epoch, so that a run resumed in its middle reports the same ones."""

from typing import Any

import torch
from torch import Tensor
from torch.distributed import all_gather_object
from torchmetrics import MetricCollection

from seqmodels.tasks.means import Means


def save(means: Means, metrics: MetricCollection | None, carried: list[Tensor], world_size: int) -> list[Any]:
    """Return the state of an epoch, one entry per process; all processes must call this together."""
    own = {
        "means": means.state_dict(),
        "metrics": {
            name: {"state": metric.metric_state, "updates": metric.update_count}
            for name, metric in (metrics.items(keep_base=True, copy_state=True) if metrics is not None else ())
        },
        "carried": carried,
    }
    if world_size == 1:
        return [own]
    everyone: list[Any] = [None] * world_size
    all_gather_object(everyone, own)
    return everyone


def restore(
    states: list[Any], means: Means, metrics: MetricCollection | None, share: tuple[int, int], device: torch.device
) -> list[Tensor]:
    """Restore the state that :func:`save` returned; return the carried state of the rows of this process.

    ``share`` is the rank of this process and the number of processes. If that number has changed, carried rows are
    redistributed, and the recorded metrics go to the first process.
    """
    rank, world_size = share
    if len(states) != world_size:
        for state in states if rank == 0 else ():
            means.load_state_dict(state["means"], device)
        carried = [torch.cat(parts) for parts in zip(*(state["carried"] for state in states), strict=True)]
        return [whole.chunk(world_size)[rank].to(device) for whole in carried]
    own = states[rank]
    means.load_state_dict(own["means"], device)
    for name, metric in metrics.items(keep_base=True, copy_state=False) if metrics is not None else ():
        saved = own["metrics"].get(name, {"state": {}, "updates": 0})
        for attribute, value in saved["state"].items():
            setattr(metric, attribute, _to(value, device))
        metric._update_count = saved["updates"]
    return [tensor.to(device) for tensor in own["carried"]]


def _to(value: Any, device: torch.device) -> Any:
    return [tensor.to(device) for tensor in value] if isinstance(value, list) else value.to(device)
