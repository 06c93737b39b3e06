"""What an epoch has recorded so far, as plain data: a run that goes on in its middle ends with the same metrics."""

from typing import Any

import torch
from torch import Tensor
from torch.distributed import all_gather_object
from torchmetrics import MetricCollection

from seqmodels.tasks.means import Means


def saved(means: Means, metrics: MetricCollection | None, carried: list[Tensor], world_size: int) -> list[Any]:
    """Return the state of an epoch, an entry for each process; all processes must call this together."""
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
    """Put back what :func:`saved` returned; return the carried state of this process's rows.

    ``share`` is the number of this process, and how many there are. Where there were others before, carried rows are
    shared out anew, and what was recorded goes to the first.
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
        kept = own["metrics"].get(name, {"state": {}, "updates": 0})
        for attribute, value in kept["state"].items():
            setattr(metric, attribute, _to(value, device))
        metric._update_count = kept["updates"]
    return [tensor.to(device) for tensor in own["carried"]]


def _to(value: Any, device: torch.device) -> Any:
    return [tensor.to(device) for tensor in value] if isinstance(value, list) else value.to(device)
