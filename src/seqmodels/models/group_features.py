"""What tells the groups of a panel apart: static features, and a learnt vector for each group."""

import torch
from torch import Tensor, nn


class GroupFeatures(nn.Module):
    """Features of the group that a window belongs to, which do not change with time.

    Args:
        static_size: number of static features.
        series: number of groups in the training data.
        embedding_size: size of the vector that is learnt for each group; 0 for none.

    Raises:
        ValueError: ``embedding_size`` is negative.

    Example:
        >>> features = GroupFeatures(static_size=2, series=5, embedding_size=3)
        >>> features(torch.zeros(4, 2), torch.tensor([0, 4, 4, 1])).shape
        torch.Size([4, 5])
    """

    def __init__(self, static_size: int, series: int, embedding_size: int) -> None:
        super().__init__()
        if embedding_size < 0:
            raise ValueError(f"series_embedding must be a size, or 0 for none, got {embedding_size}")
        self.static_size = static_size
        self.size = static_size + embedding_size
        self.embedding = nn.Embedding(series, embedding_size) if embedding_size else None

    def forward(self, static: Tensor | None, series: Tensor | None) -> Tensor | None:
        """Return the features ``(batch, size)`` of the groups ``series (batch,)``, or None if there are none.

        Raises:
            ValueError: an argument that is read is missing, or a group is not in the training data.
        """
        parts: list[Tensor] = []
        if self.static_size:
            if static is None or static.shape[-1] != self.static_size:
                given = None if static is None else tuple(static.shape)
                raise ValueError(f"static must have shape (batch, {self.static_size}), got {given}")
            parts.append(static)
        if self.embedding is not None:
            parts.append(self._embedded(self.embedding, series))
        return torch.cat(parts, -1) if parts else None

    def _embedded(self, embedding: nn.Embedding, series: Tensor | None) -> Tensor:
        if series is None:
            raise ValueError("model.series_embedding needs series, the index of each window's group")
        # training groups are right by construction, and the check would wait for the device at every step
        if not self.training and bool(((series < 0) | (series >= embedding.num_embeddings)).any()):
            raise ValueError(
                f"model.series_embedding has a vector for each of the {embedding.num_embeddings} groups of the "
                "training data, and none for a new group: train without it (model.series_embedding=0) to forecast one"
            )
        vectors: Tensor = embedding(series)
        return vectors


def at_every_step(x: Tensor, features: Tensor | None) -> Tensor:
    """Return ``x (batch, time, input)`` with ``features (batch, size)`` added to the input of every step."""
    return x if features is None else torch.cat([x, features[:, None].expand(-1, x.shape[1], -1)], -1)
