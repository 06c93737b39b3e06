"""Progress output of a run: a progress bar on a terminal, one line per epoch everywhere else."""

import sys
import time

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar


def progress() -> ProgressBar:
    """Return a progress bar if the output is a terminal, plain lines if it is a file or a pipe.

    Example:
        >>> isinstance(progress(), ProgressBar)
        True
    """
    return RichProgressBar() if sys.stdout.isatty() else EpochLines()


class EpochLines(ProgressBar):
    """Print one line per epoch: its number, its metrics and the seconds it took.

    Example:
        >>> EpochLines().disable()  # prints nothing from now on
    """

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
        self._started = time.perf_counter()  # an epoch that is resumed has no on_train_epoch_start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._print(trainer)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        seconds = time.perf_counter() - self._started
        self._ended = (trainer.current_epoch + 1, seconds)  # the module logs its training metrics after this

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        """Print the line of the epoch that has just ended, if any."""
        ended, self._ended = self._ended, None
        if ended is None or not self._enabled:
            return
        epoch, seconds = ended
        last = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else "?"
        metrics = trainer.callback_metrics
        names = [name for name in metrics if name.endswith("/loss")]
        others = [name for name in metrics if name.startswith("val/") and name not in names]
        names += ["val/accuracy"] if "val/accuracy" in others else others[:1]  # the main metric
        shown = "  ".join(f"{name} {metrics[name]:.4f}" for name in sorted(names))
        sys.stdout.write(f"epoch {epoch}/{last}  {shown}  {seconds:.1f} s\n")
        sys.stdout.flush()
