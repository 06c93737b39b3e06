"""How a run says where it is: a bar on a terminal, one line an epoch everywhere else."""

import sys
import time

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar


def progress() -> ProgressBar:
    """Return a bar when the output is a terminal, plain lines when it is a file or a pipe."""
    return RichProgressBar() if sys.stdout.isatty() else EpochLines()


class EpochLines(ProgressBar):
    """One line an epoch: its number, the metrics of the epoch, its seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._started = 0.0
        self._ended: tuple[int, float] | None = None

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._started = time.perf_counter()  # of an epoch that goes on as well

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._print(trainer)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        seconds = time.perf_counter() - self._started
        self._ended = (trainer.current_epoch + 1, seconds)  # the module logs its training metrics after this

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        """Print the line of the epoch that has ended, if there is one."""
        ended, self._ended = self._ended, None
        if ended is None or not self._enabled:
            return
        epoch, seconds = ended
        last = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else "?"
        metrics = trainer.callback_metrics
        names = [name for name in metrics if name.endswith("/loss")]
        others = [name for name in metrics if name.startswith("val/") and name not in names]
        names += ["val/accuracy"] if "val/accuracy" in others else others[:1]  # the foremost one
        shown = "  ".join(f"{name} {metrics[name]:.4f}" for name in sorted(names))
        sys.stdout.write(f"epoch {epoch}/{last}  {shown}  {seconds:.1f} s\n")
        sys.stdout.flush()
