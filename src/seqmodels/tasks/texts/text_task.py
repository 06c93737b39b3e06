"""What tasks share that write a text for each row."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from seqmodels.tasks.examples import Shown, show_examples
from seqmodels.tasks.task import Batch, OptimizerFactory, SchedulerFactory, Stage, Task
from seqmodels.tasks.texts.examples import chosen_examples, gathered
from seqmodels.tasks.texts.metrics import Metric, Output


class TextTask(Task[Batch]):
    """A task whose outputs in validation and test are texts: they are measured together, and three are logged.

    Args:
        model, optimizer, scheduler: as in :class:`~seqmodels.tasks.Task`.
        text_metrics: functions of all outputs, by name.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        text_metrics: Mapping[str, Metric],
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        self.text_metrics = text_metrics
        self._outputs: dict[Stage, list[Output]] = {"val": [], "test": []}

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the outputs of the last test, in the order of the data."""
        rows = [
            {"source": each.source, "references": " | ".join(each.references), "output": each.output}
            for each in self._outputs["test"]
        ]
        return {"outputs.csv": rows} if rows else {}

    def _begin(self, stage: Stage) -> None:
        super()._begin(stage)
        self._outputs[stage] = []

    def _report(self, stage: Stage) -> None:
        super()._report(stage)
        if stage == "train":
            return
        outputs = sorted(gathered(self._outputs[stage], self.trainer.world_size), key=lambda output: output.row)
        self._outputs[stage] = outputs
        self.log_dict({f"{stage}/{name}": metric(outputs) for name, metric in self.text_metrics.items()}, prog_bar=True)
        if self.trainer.is_global_zero:
            examples = [Shown(row.source, row.references[0], row.output) for row in chosen_examples(outputs)]
            show_examples(examples, stage, self.loggers, self.global_step)
