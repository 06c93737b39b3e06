"""Batching options."""

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class Loading:
    """How prepared data are batched.

    Args:
        batch_size: rows per training batch; the last one of an epoch may be smaller.
        eval_batch_size: rows per batch in validation and test; ``batch_size`` by default. For language models, the
            number of rows read in parallel, at most one per document; the loss does not depend on it, unless the split
            is a single text, which is cut.
        num_workers: worker processes; in-memory data need none.
        seed: determines, with the epoch, the order of the training batches.
        drop_last: drop an incomplete last training batch.
        bucketing: batch rows of similar length to reduce padding.

    Example:
        >>> Loading(batch_size=64, bucketing=True).rows("val")
        64
    """

    batch_size: int = 32
    eval_batch_size: int | None = None
    num_workers: int = 0
    seed: int = 0
    drop_last: bool = False
    bucketing: bool = False

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "eval_batch_size": 1, "num_workers": 0, "seed": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if name == "eval_batch_size" and value is None:
                continue
            if not isinstance(value, int) or value < smallest:
                raise ValueError(f"{name} must be a whole number of at least {smallest}, got {value!r}")

    def rows(self, split: str) -> int:
        """Return the batch size for ``train``, ``val`` or ``test``."""
        return self.batch_size if split == "train" or self.eval_batch_size is None else self.eval_batch_size

    def check_rows(self, rows: int) -> None:
        """Raise ``ValueError`` if this number of rows yields no training batch."""
        if self.drop_last and rows < self.batch_size:
            raise ValueError(
                f"the train split has {rows} rows, fewer than batch_size={self.batch_size}, and drop_last leaves none"
            )
