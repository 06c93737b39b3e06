"""Windows of a test with their forecasts."""

from collections.abc import Sequence
from typing import Any

import torch

from seqmodels.data.series.windows import WindowDataset
from seqmodels.tasks import Forecasting
from seqmodels.tasks.predictors.forecast_records import in_units
from seqmodels.training.recording.inputs import STEPS, rounded

WINDOWS = 4  # evenly spaced, beside the worst one
SERIES = 3
PAST = 3  # horizons before a forecast that are drawn

Found = dict[str, Any]


def forecasts(task: Forecasting, split: WindowDataset, worst: Sequence[tuple[float, int]]) -> list[Found]:
    """Return windows with what came before, what followed, and what was forecast, in units of the data.

    They are evenly spaced over the split, and the window with the greatest error is the first.
    """
    rows = torch.linspace(0, len(split) - 1, min(WINDOWS, len(split))).long().tolist()
    rows = list(dict.fromkeys([*(row for _, row in worst[:1]), *rows]))
    batch = split.__getitems__(rows)
    records = task.records(task.transfer_batch_to_device(batch, task.device, 0), ())
    count = min(SERIES, len(task.names))
    horizon = batch.targets.shape[1]
    reach = min(max(PAST * horizon, 30), STEPS)
    past = in_units(batch.inputs[:, -reach:, : len(task.names)], batch)
    targets = in_units(batch.targets, batch)
    found = []
    for index, row in enumerate(rows):
        key = split.groups.keys[int(split.rows[row])]
        for number, name in enumerate(task.names[:count]):
            steps = [record for record in records[index] if record["series"] == name][:STEPS]
            found.append(
                {
                    "name": " ".join([*key, name]),
                    "worst": bool(worst) and index == 0,
                    "past": rounded(past[index, :, number]),
                    "target": rounded(targets[index, :STEPS, number]),
                    "times": [step["time"] for step in steps],
                    "forecast": [step["forecast"] for step in steps],
                }
            )
            found[-1] |= {bound: [step[bound] for step in steps] for bound in ("low", "high") if bound in steps[0]}
    return found
