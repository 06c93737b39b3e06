"""From the text of a record to tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.text.vocabulary import Vocabulary
from seqmodels.system.names import public_name


@dataclass(kw_only=True, eq=False)
class TokenPreprocessing(Preprocessing):
    """The text of a record by a vocabulary.

    Args:
        vocabulary: that of the training data.
        field: where a record has its text, or several that are joined by a space; that of a plain line is ``text``, and
            is read whatever the field.
        max_length: most tokens; what follows is left out. All where None.
    """

    vocabulary: Vocabulary
    field: str | Sequence[str] = "text"
    max_length: int | None = None

    @property
    def fields(self) -> list[str]:
        return [self.field] if isinstance(self.field, str) else list(self.field)

    @property
    def node(self) -> dict[str, Any]:
        """What rebuilds it, as JSON holds it."""
        options = {"field": self.fields, "max_length": self.max_length}
        return {"_target_": public_name(type(self)), "vocabulary": self.vocabulary.node, **options}

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        fields = ["text"] if set(record) == {"text"} else self.fields
        text = " ".join(_text(record, field) for field in fields)
        tokens = self.vocabulary.encode(text)[: self.max_length]
        if not tokens:
            raise ValueError(f"{', '.join(fields)}: there is no token to read, got {text!r}")
        return torch.tensor(tokens)


def _text(record: Mapping[str, Any], field: str) -> str:
    text = record.get(field)
    if not isinstance(text, str):
        got = f"got {text!r}" if field in record else f"the record has {', '.join(map(repr, record)) or 'nothing'}"
        raise ValueError(f"{field!r} must be a text, {got}")
    return text
