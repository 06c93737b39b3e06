"""Tokenisation of records."""

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
    """Tokenises the text of a record with a vocabulary.

    Args:
        vocabulary: vocabulary of the training data.
        field: text field of a record, or several to be joined with a space; for plain lines, ``text`` is always read.
        max_length: maximum number of tokens; longer texts are truncated. No limit if None.
    """

    vocabulary: Vocabulary
    field: str | Sequence[str] = "text"
    max_length: int | None = None

    @property
    def fields(self) -> list[str]:
        return [self.field] if isinstance(self.field, str) else list(self.field)

    @property
    def node(self) -> dict[str, Any]:
        """The configuration that rebuilds it, as plain JSON."""
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
