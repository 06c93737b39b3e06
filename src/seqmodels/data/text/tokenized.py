"""Text of any size, tokenised once and cached in one file per split."""

import hashlib
import json
from collections.abc import Mapping
from copy import copy
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from seqmodels.data.formats.text_files import DocumentFormat, blocks
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.text.bpe import BPEVocabulary
from seqmodels.data.text.corpus import Corpus
from seqmodels.data.text.text_preprocessing import CountingTokenizer, TextPreprocessing
from seqmodels.data.text.token_file import made_from, token_file
from seqmodels.data.text.vocabulary import EOS, CharacterVocabulary, Vocabulary, WordVocabulary
from seqmodels.data.text.vocabulary_learning import VocabularyLearner
from seqmodels.system.cache import cache_folder
from seqmodels.system.locks import exclusive

VOCABULARIES = {kind.__name__: kind for kind in (CharacterVocabulary, WordVocabulary, BPEVocabulary)}


def tokenized(
    splits: Splits[Documents], learner: VocabularyLearner, cache_dir: str | Path | None
) -> tuple[TextPreprocessing, Splits[Corpus]]:
    """Return the tokenisation, learnt from the training split only, and the tokens of each split that is not None.

    Tokens are cached in ``cache_dir`` (default: ``tokens`` in the cache folder of this package), one file per split,
    and reused until the origin of the documents or the learner options change. Documents without an origin are kept in
    memory.

    Raises:
        ValueError: a text cannot be read, or a split has no documents.
    """
    name, source = splits.train.name, splits.train.origin
    if source is None:
        text = _learnt(splits.train, learner)
        return text, in_memory(splits, text)
    folder = cache_folder("tokens") if cache_dir is None else Path(cache_dir)
    made = {"source": source, "learner": {"kind": type(learner).__name__, **vars(learner)}}
    place = json.dumps({**made, "source": {**source, "files": [file for file, *_ in source["files"]]}})
    stem = f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    paths = {split: folder / f"{stem}.{split}.tokens" for split in Splits._fields}
    with exclusive(folder / f"{stem}.lock"):
        text = _kept(paths["train"], made, splits.train.form) or _learnt(splits.train, learner)
        origin = {**made, "text": text.node}
        corpora = {}
        for split, documents in splits._asdict().items():
            if documents is None:
                continue
            tokenizer = CountingTokenizer(text)
            tokens = (map(tokenizer, blocks(lines)) for lines in documents.read())
            size = len(text.vocabulary)
            try:
                corpora[split] = token_file(
                    paths[split],
                    tokens,
                    vocab_size=size,
                    edge=text.edge,
                    origin=origin,
                    counts=partial(getattr, tokenizer, "counts"),
                )
            except ValueError as error:
                raise ValueError(f"the {split} split of {name}: {error}") from error
        return text, Splits(**corpora)


def in_memory(splits: Splits[Documents], text: TextPreprocessing) -> Splits[Corpus]:
    """Tokenise each split in memory."""
    return splits.map(text.corpus)


def _kept(path: Path, made: Mapping[str, Any], form: DocumentFormat) -> TextPreprocessing | None:
    """Return the preprocessing a token file was made with, if everything else about its origin matches."""
    origin = made_from(path)
    if origin is None or {**origin, "text": None} != {**json.loads(json.dumps(made)), "text": None}:
        return None
    node = origin["text"]
    name = node["vocabulary"]["_target_"].rpartition(".")[2]
    options = {key: value for key, value in node["vocabulary"].items() if key != "_target_"}
    return TextPreprocessing(
        vocabulary=VOCABULARIES[name](**options),
        start=node["start"],
        ends=node["ends"],
        line_ends=node["line_ends"],
        documents=form._asdict(),
    )


def _learnt(train: Documents, learner: VocabularyLearner) -> TextPreprocessing:
    """Learn a vocabulary from the training split, with ``<eos>`` for document edges and, for words, line ends."""
    if EOS not in learner.specials:
        learner = copy(learner)
        learner.specials = (*learner.specials, EOS)
    documents = islice(train.read(), train.vocabulary_documents)
    vocabulary: Vocabulary = learner.learn(block for lines in documents for block in blocks(lines))
    assert vocabulary.eos is not None
    words = isinstance(vocabulary, WordVocabulary)
    return TextPreprocessing(
        vocabulary=vocabulary, start=vocabulary.eos, ends=True, line_ends=words, documents=train.form._asdict()
    )
