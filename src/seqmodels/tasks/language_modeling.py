"""Language modelling: prediction of the next token of a text."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.text.windows import TextWindow
from seqmodels.models import LanguageModel
from seqmodels.sequence import leaves, map_leaves
from seqmodels.tasks.predictors.tokens import ScorePredictor
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class LanguageModeling(Task[TextWindow]):
    """Train and evaluate a language model with truncated back-propagation through time.

    Metrics are the cross-entropy in nats per token, perplexity and the bits per character of the text; in validation
    and test also the share of ``unknown`` tokens. The state of each row is carried from window to window, detached, and
    reset at the start of each document; training, validation and test carry separate states.

    Args:
        model, optimizer, scheduler: as in :class:`~seqmodels.tasks.Task`.
        activation_penalty: weight of the mean square of the top layer's output after dropout: activation
            regularisation (AR) of Merity, McCann and Socher (2017, arXiv 1708.01009).
        slowness_penalty: weight of the mean square of the change of that output from one step to the next, before
            dropout: temporal activation regularisation (TAR).

    Raises:
        TypeError: ``model`` is not a language model.
        ValueError: a penalty is negative.

    Example:
        >>> from functools import partial
        >>> from torch import optim
        >>> from seqmodels.cells import GRUCell
        >>> model = LanguageModel(partial(GRUCell, hidden_size=5), vocab_size=9, embedding_size=6)
        >>> LanguageModeling(model, optim.Adam, slowness_penalty=1.0).slowness_penalty
        1.0
    """

    needs: ClassVar[TargetKind] = "language_modeling"
    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        activation_penalty: float = 0.0,
        slowness_penalty: float = 0.0,
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if not hasattr(model, "renew"):
            raise TypeError(f"task=language_modeling needs model=language_model, got {type(model).__name__}")
        for name, value in (("activation_penalty", activation_penalty), ("slowness_penalty", slowness_penalty)):
            if value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        self.activation_penalty = activation_penalty
        self.slowness_penalty = slowness_penalty
        self.predictor = ScorePredictor(model)
        self._carried: dict[Stage, Any] = {}
        self._restored: list[Tensor] = []
        self._scale = 1.0

    def measure(self, batch: TextWindow, stage: Stage) -> Tensor:
        """Return the loss of a window; the recorded loss excludes the penalties."""
        packed = {} if batch.resets is None else {"resets": batch.resets}
        read = self.model.read(batch.inputs, self._state(stage, batch.fresh), batch.lengths, **packed)
        self._carried[stage] = map_leaves(Tensor.detach, read.state)
        loss, count = self._loss(read.features, batch)
        rates = {"characters": batch.characters} | ({} if stage == "train" else {"unknown": batch.unknown})
        self._means[stage].add({"loss": loss, **{name: loss.new_full((), rate) for name, rate in rates.items()}}, count)
        if stage != "train":
            return loss
        return loss * batch.weight + self._penalties(read.outputs, read.features, batch.resets)

    def _state(self, stage: Stage, fresh: Tensor) -> Any:
        """Return the state at the start of a window: the carried one, or the initial one for fresh rows."""
        carried = self._carried.get(stage)
        if carried is None and stage == "train" and self._restored:
            saved, self._restored = iter(self._restored), []
            carried = map_leaves(lambda _: next(saved).to(fresh.device), self.model.initial_state(len(fresh)))
        return self.model.renew(carried, fresh)

    def _loss(self, features: Tensor, batch: TextWindow) -> tuple[Tensor, int]:
        """Return the mean loss over the tokens that are not ignored (0 if there are none), and their number."""
        features, targets = features.flatten(0, 1), batch.targets.flatten()
        if batch.places is not None:
            features, targets = features.index_select(0, batch.places), targets.index_select(0, batch.places)
        return self.model.losses(features, targets).sum() / max(len(targets), 1), len(targets)

    def _penalties(self, outputs: Tensor, features: Tensor, resets: Tensor | None) -> Tensor:
        penalty = outputs.new_zeros(())
        if self.activation_penalty:
            penalty = penalty + self.activation_penalty * features.square().mean()
        if self.slowness_penalty and outputs.shape[1] > 1:
            changes = (outputs[:, 1:] - outputs[:, :-1]).square()
            if resets is not None:  # from one document to another
                changes = changes.masked_fill(resets[:, 1:, None], 0)
            penalty = penalty + self.slowness_penalty * changes.mean()
        return penalty

    def records(self, batch: TextWindow, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return for each row its number of tokens, their mean loss in nats, and the perplexity."""
        return self.predictor.records(batch, class_names)

    def on_train_batch_start(self, batch: TextWindow, batch_idx: int) -> None:  # noqa: ARG002
        self._scale = batch.scale

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Scale the learning rate of the step by the length of the window relative to the usual length."""
        rates = [group["lr"] for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * self._scale
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def carried_state(self) -> list[Tensor]:
        carried = self._carried.get("train")
        return self._restored if carried is None else leaves(carried)

    def restore_carried(self, carried: list[Tensor]) -> None:
        self._carried["train"], self._restored = None, carried

    def _begin(self, stage: Stage) -> None:
        super()._begin(stage)
        self._carried[stage] = None
        if stage == "train":
            self._restored = []

    def _report(self, stage: Stage) -> None:
        """Log the loss, the perplexity per token, the bits per character and the share of unknown tokens."""
        values = self._means[stage].take(partial(self.trainer.strategy.reduce, reduce_op="sum"))
        if not values:
            return
        loss = values["loss"]
        logged = {"loss": loss, "perplexity": loss.exp()}
        logged["bits_per_character"] = loss / math.log(2) / values["characters"]
        self.log_dict({f"{stage}/{name}": value for name, value in logged.items()}, prog_bar=True, sync_dist=True)
        if "unknown" in values:
            self.log(f"{stage}/unknown", values["unknown"], sync_dist=True)
