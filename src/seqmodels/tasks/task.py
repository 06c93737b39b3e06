"""The base class of all tasks: one ``measure`` for every stage, and the wiring of optimiser and schedule."""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MetricCollection

from seqmodels.data.batch import TargetKind
from seqmodels.tasks import epoch_state
from seqmodels.tasks.means import Means
from seqmodels.tasks.steps import Entries

Stage = Literal["train", "val", "test"]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[..., LRScheduler]
Batch = TypeVar("Batch")


class Task(LightningModule, ABC, Generic[Batch]):
    """Base class: a network with its loss, metrics and optimiser; a subclass defines :meth:`measure`.

    Args:
        model: ``(inputs, lengths) -> outputs``.
        optimizer: builds an optimiser from parameters, such as ``partial(torch.optim.Adam, lr=1e-3)``.
        scheduler: builds a learning-rate schedule from an optimiser. One with an argument ``total_steps`` is stepped
            after every optimiser step, and receives their number unless it is bound already; any other is stepped
            after every epoch, and receives the number of epochs as ``total_epochs`` if it has that argument.
            ``ReduceLROnPlateau`` monitors ``val/loss``.
    """

    needs: ClassVar[TargetKind]
    """The kind of targets that a data set must have for this task."""
    default_epochs: ClassVar[int] = 30
    """Epochs of a training with ``trainer.max_epochs=null``; more, if these are fewer than :attr:`default_steps`."""
    default_steps: ClassVar[int] = 1500

    def __init__(
        self, model: nn.Module, optimizer: OptimizerFactory, scheduler: SchedulerFactory | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.metrics = nn.ModuleDict()  # by stage; a collection's prefix is "{stage}/"
        self._means: dict[Stage, Means] = {stage: Means() for stage in get_args(Stage)}

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning sets this fifty times per step, and nn.Module would search its parameters for the name every time.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the output of the network."""
        return self.model(inputs, lengths)

    @abstractmethod
    def measure(self, batch: Batch, stage: Stage) -> Tensor:
        """Return the loss of a batch, and :meth:`record` it, to be logged as ``"{stage}/loss"`` at the epoch's end."""

    def take_over(self, weights: Mapping[str, Tensor]) -> None:
        """Take over from the weights of an earlier training what validation measures; nothing by default.

        For a training on all data, which leaves none to validate on.
        """

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return tables of the last test that are written beside its metrics, by file name; none by default."""
        return {}

    def pictures(self) -> dict[str, str]:
        """Return SVG pictures of the last test that are written beside its metrics, by file name; none by default."""
        return {}

    @abstractmethod
    def records(self, batch: Batch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return for each row of a batch its predictions as plain data, each a line of a prediction file.

        The tasks of this package leave it to a predictor: see :class:`~seqmodels.tasks.predictors.predictor.Predictor`.
        """

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.measure(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self.measure(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self.measure(batch, "test")

    def record(self, stage: Stage, means: dict[str, Tensor], entries: Entries) -> None:
        """Add a batch to the means and metrics of a stage, which are logged at the end of its epoch."""
        self._means[stage].add(means, entries.number)
        if stage in self.metrics:
            outputs, targets, _ = entries.without_padding()
            self._metrics_of(stage).update(outputs, targets)

    def on_train_epoch_start(self) -> None:
        self._begin("train")

    def on_validation_epoch_start(self) -> None:
        self._begin("val")

    def on_test_epoch_start(self) -> None:
        self._begin("test")

    def on_train_epoch_end(self) -> None:
        self._report("train")

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _begin(self, stage: Stage) -> None:
        """Reset the metrics of a stage, also after an interrupted epoch."""
        self._means[stage] = Means()
        if stage in self.metrics:
            self._metrics_of(stage).reset()

    def _report(self, stage: Stage) -> None:
        """Log the metrics of a stage's epoch, over all processes."""
        values = self._means[stage].take(partial(self.trainer.strategy.reduce, reduce_op="sum"))
        self.log_dict({f"{stage}/{name}": value for name, value in values.items()}, prog_bar=True, sync_dist=True)
        if stage in self.metrics:
            self.log_dict(self._metrics_of(stage).compute(), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the metrics of the training epoch so far, for a run that is resumed in its middle."""
        metrics = self._metrics_of("train") if "train" in self.metrics else None
        checkpoint["epoch_state"] = epoch_state.save(
            self._means["train"], metrics, self.carried_state(), self.trainer.world_size
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING or "epoch_state" not in checkpoint:
            return
        metrics = self._metrics_of("train") if "train" in self.metrics else None
        states, share = checkpoint["epoch_state"], (self.global_rank, self.trainer.world_size)
        self.restore_carried(epoch_state.restore(states, self._means["train"], metrics, share, self.device))

    def carried_state(self) -> list[Tensor]:
        """Return the state that training rows carry from batch to batch, tensors ``(batch, ...)``; none by default."""
        return []

    def restore_carried(self, carried: list[Tensor]) -> None:
        """Restore the state that :meth:`carried_state` returned before an interruption."""

    def recorded(self) -> dict[str, Any]:
        """Return the metrics and carried state of the training epoch so far, for :meth:`rollback`."""
        metrics = self._metrics_of("train") if "train" in self.metrics else None
        return deepcopy(epoch_state.save(self._means["train"], metrics, [], 1)[0]) | {"carried": self.carried_state()}

    def rollback(self, recorded: dict[str, Any]) -> None:
        """Reset the training epoch to the state that :meth:`recorded` returned, discarding all later batches."""
        self._means["train"] = Means()
        metrics = self._metrics_of("train") if "train" in self.metrics else None
        self.restore_carried(epoch_state.restore([recorded], self._means["train"], metrics, (0, 1), self.device))

    def _metrics_of(self, stage: Stage) -> MetricCollection:
        metrics = self.metrics[stage]
        assert isinstance(metrics, MetricCollection)
        return metrics

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: Any = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip gradients if there are any: a skipped update has none, which torch does not accept."""
        if any(parameter.grad is not None for group in optimizer.param_groups for parameter in group["params"]):
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        options: dict[str, Any] = {}
        per_step = "total_steps" in inspect.signature(self.scheduler).parameters
        if per_step and "total_steps" not in getattr(self.scheduler, "keywords", {}):
            options["total_steps"] = self._total_steps()
        if "total_epochs" in inspect.signature(self.scheduler).parameters:
            options["total_epochs"] = self._total_epochs()
        schedule: dict[str, Any] = {
            "scheduler": self.scheduler(optimizer, **options),
            "interval": "step" if per_step else "epoch",
        }
        if isinstance(schedule["scheduler"], ReduceLROnPlateau):
            schedule["monitor"] = "val/loss"
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _total_steps(self) -> int:
        steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(steps):
            raise ValueError("a schedule over steps needs their number: set max_epochs or max_steps of the trainer")
        return int(steps)

    def _total_epochs(self) -> int:
        """Return the number of epochs, the last of which ``max_steps`` may cut short."""
        self.trainer.fit_loop.setup_data()  # counts the batches
        return math.ceil(self._total_steps() * self.trainer.accumulate_grad_batches / self.trainer.num_training_batches)
