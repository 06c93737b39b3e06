"""Text of any size, tokenised once and kept in files beside each other."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from itertools import islice
from pathlib import Path
from typing import Any

from seqmodels.data.bpe import BPEVocabulary
from seqmodels.data.corpus import Corpus
from seqmodels.data.module import SPLITS
from seqmodels.data.text_files import blocks
from seqmodels.data.text_preprocessing import TextPreprocessing
from seqmodels.data.token_file import made_from, token_file
from seqmodels.data.vocabulary import EOS, CharacterVocabulary, Vocabulary, WordVocabulary
from seqmodels.data.vocabulary_learning import VocabularyLearner

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

VOCABULARIES = {kind.__name__: kind for kind in (CharacterVocabulary, WordVocabulary, BPEVocabulary)}


class TextSource(ABC):
    """Where texts come from, a document at a time, as often as they are asked for."""

    name: str
    learnt_from: int | None = None
    """Of so many training documents, from the first on, a vocabulary is learnt at most."""

    @property
    @abstractmethod
    def origin(self) -> dict[str, Any]:
        """What decides about the texts, as JSON holds it: options, and files with their size and time of change."""

    @abstractmethod
    def documents(self, split: str) -> Iterator[Iterator[str]]:
        """Yield the documents of a split, each as its lines."""


def tokenized(
    source: TextSource, learner: VocabularyLearner, cache_dir: str | Path | None
) -> tuple[TextPreprocessing, dict[str, Corpus]]:
    """Return the corpora of a source and how text becomes their tokens, learnt from the training split alone.

    Tokens are kept in ``cache_dir`` (``tokens`` in the cache folder of this package where not given), a file a split,
    and read from there until the source or the options of the learner change.

    Raises:
        ValueError: a text cannot be read, or a split has no document.
    """
    folder = cache_folder() if cache_dir is None else Path(cache_dir)
    made = {"source": source.origin, "learner": {"kind": type(learner).__name__, **vars(learner)}}
    place = json.dumps({**made, "source": {**source.origin, "files": [name for name, *_ in source.origin["files"]]}})
    stem = f"{source.name}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    paths = {split: folder / f"{stem}.{split}.tokens" for split in SPLITS}
    with _alone(folder / f"{stem}.lock"):
        text = _kept(paths["train"], made) or _learnt(source, learner)
        origin = {**made, "text": text.node}
        corpora = {}
        for split, path in paths.items():
            documents = (map(text.tokens, blocks(lines)) for lines in source.documents(split))
            size = len(text.vocabulary)
            try:
                corpora[split] = token_file(path, documents, vocab_size=size, edge=text.edge, origin=origin)
            except ValueError as error:
                raise ValueError(f"the {split} split of {source.name}: {error}") from error
        return text, corpora


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time do what stands within; the others wait, and then find its files.

    Where there are no locks (Windows, a folder that is only read), each does the same for itself.
    """
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("wb"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """Return where tokens are kept: under ``SEQMODELS_CACHE_DIR``, or the user's cache folder."""
    if own := os.environ.get("SEQMODELS_CACHE_DIR"):
        return Path(own).expanduser().absolute() / "tokens"
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "seqmodels" / "tokens"


def _kept(path: Path, made: Mapping[str, Any]) -> TextPreprocessing | None:
    """Return the preprocessing that a file of tokens was made with, if it was made from the same otherwise."""
    origin = made_from(path)
    if origin is None or {**origin, "text": None} != {**json.loads(json.dumps(made)), "text": None}:
        return None
    node = origin["text"]
    name = node["vocabulary"]["_target_"].rpartition(".")[2]
    options = {key: value for key, value in node["vocabulary"].items() if key != "_target_"}
    return TextPreprocessing(
        vocabulary=VOCABULARIES[name](**options), start=node["start"], ends=node["ends"], line_ends=node["line_ends"]
    )


def _learnt(source: TextSource, learner: VocabularyLearner) -> TextPreprocessing:
    """Learn a vocabulary from the training split, with ``<eos>`` for the edges of documents, and the lines of words."""
    if EOS not in learner.specials:
        learner = copy(learner)
        learner.specials = (*learner.specials, EOS)
    documents = islice(source.documents("train"), source.learnt_from)
    vocabulary: Vocabulary = learner.learn(block for lines in documents for block in blocks(lines))
    assert vocabulary.eos is not None
    words = isinstance(vocabulary, WordVocabulary)
    return TextPreprocessing(vocabulary=vocabulary, start=vocabulary.eos, ends=True, line_ends=words)
