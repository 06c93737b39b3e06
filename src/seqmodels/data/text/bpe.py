"""Byte-level byte pair encoding (Sennrich et al., 2016, arXiv 1508.07909; Radford et al., 2019, for the bytes)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from seqmodels.data.text.vocabulary import EOS, Vocabulary


@dataclass(kw_only=True, repr=False, eq=False)
class BPEVocabulary(Vocabulary):
    """Tokens are single bytes and frequent byte sequences: nothing is unknown, and every text round-trips exactly.

    ``decode(encode(text)) == normalize(text)`` for any text. Incomplete characters decode to U+FFFD.

    Args:
        tokens, normalization, lowercase: as for all; tokens use the GPT-2 notation, ``Ġ`` for a space.
        merges: token pairs to merge, in order of priority.

    Raises:
        ImportError: the package ``tokenizers`` is not installed.
        ValueError: a merge uses tokens that are not in ``tokens``.
    """

    merges: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        super().__post_init__()
        merges = [(left, right) for left, right in self.merges]
        # The library is not given the special tokens, so that no text is ever parsed as one.
        ordinary = self.tokens[len(self.specials) :]
        library = _library()
        try:
            model = library.models.BPE({token: index for index, token in enumerate(ordinary)}, merges)
        except Exception as error:  # the library's own error class
            raise ValueError(f"merges do not fit the tokens: {error}") from error
        self._tokenizer = _byte_level(library, model)

    @property
    def node(self) -> dict[str, Any]:
        return {**super().node, "merges": [list(pair) for pair in self.merges]}

    def encode(self, text: str) -> list[int]:
        shift = len(self.specials)
        return [token + shift for token in self._tokenizer.encode(self.normalize(text)).ids]

    def decode(self, ids: Iterable[int]) -> str:
        shift, lines, line = len(self.specials), [], list[int]()
        for token in ids:
            if not 0 <= token < len(self.tokens):
                raise ValueError(f"a token must be 0 to {len(self.tokens) - 1}, got {token}")
            if token >= shift:
                line.append(token - shift)
            elif token == self.specials.get(EOS):
                lines.append(self._tokenizer.decode(line))
                line = []
        return "\n".join([*lines, self._tokenizer.decode(line)])


def learn_bpe(texts: Iterable[str], *, size: int, min_frequency: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the tokens, including all 256 bytes, and the merges producing the others, most frequent first.

    Raises:
        ImportError: the package ``tokenizers`` is not installed.
    """
    library = _library()
    tokenizer = _byte_level(library, library.models.BPE())
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), [(left, right) for left, right in model["merges"]]


def _byte_level(library: ModuleType, model: Any) -> Any:
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    return tokenizer


def _library() -> ModuleType:
    try:
        import tokenizers  # noqa: PLC0415  (not everyone needs it)
    except ImportError as error:
        raise ImportError("byte pair encoding needs the package tokenizers: pip install 'seqmodels[text]'") from error
    return tokenizers
