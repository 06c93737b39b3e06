"""New records for a trained model, as ``predict`` and ``generate`` read them."""

import io
import json
from collections.abc import Callable
from typing import Any

from fuzzing.judging import NAME, Reader
from seqmodels.config.build import build
from seqmodels.data.formats.records import Format, read_records
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.text.text_preprocessing import TextPreprocessing
from seqmodels.data.text.vocabulary import Vocabulary, WordVocabulary
from seqmodels.data.text.vocabulary_learning import BPELearner, CharacterLearner, WordLearner

TEXTS = ["A red fox, e\u0301t\u00e9 isn't \u05e9\u05dc\u05d5\u05dd \U0001f468\u200d\U0001f469", "12 ?!\r\n\0\ufeff"]
VOCABULARIES: list[Vocabulary] = [
    CharacterLearner(eos=True).learn(TEXTS),
    WordLearner(eos=True).learn(TEXTS),
    BPELearner(eos=True).learn(TEXTS),
]


def examples(node: dict[str, Any], kind: Format) -> Callable[[bytes], Any]:
    """Return a reader of records that a preprocessing turns into what a network reads."""
    preprocessing: Preprocessing = build(node)

    def read(content: bytes) -> list[Any]:
        found = list(preprocessing.examples(read_records(io.BytesIO(content), NAME, kind)))
        return [preprocessing.collate([example.value]) for example in found[:5] if example.value is not None]

    return read


def finite_inputs(batches: Any) -> str | None:
    """Say that a network would be given numbers that are none."""
    inputs = [batch.inputs for batch in batches]
    return None if all(x.isfinite().all() and x.numel() for x in inputs) else "inputs that are empty or not finite"


def round_trip(vocabulary: Vocabulary) -> Callable[[bytes], Any]:
    """Return a reader of texts that come back from the tokens they become, where none of these is unknown."""
    preprocessing = TextPreprocessing(vocabulary=vocabulary, start=vocabulary.eos or 0, ends=False)

    def read(content: bytes) -> Any:
        given = content.decode("utf-8", "surrogateescape")  # as the command line gives a prompt
        tokens = vocabulary.encode(given)
        known = [token for token in tokens if token != vocabulary.unknown]
        assert preprocessing.prompt(given).max() < len(vocabulary)
        plain = " ".join(vocabulary.split(given)) if isinstance(vocabulary, WordVocabulary) else None
        expected = vocabulary.normalize(given) if plain is None else plain
        return len(known) < len(tokens) or vocabulary.decode(tokens) == expected

    return read


def record_readers() -> list[Reader]:
    """Return the readers of records and prompts."""
    series = {
        "_target_": "seqmodels.data.SeriesPreprocessing",
        "mean": [0.5, -1.0],
        "deviation": [1.0, 2.0],
        "missing": "interpolate",
    }
    forecast = {
        "_target_": "seqmodels.data.ForecastPreprocessing",
        "columns": ["a", "b"],
        "mean": [0.0, 1.0],
        "deviation": [1.0, 2.0],
        "output_size": 1,
        "input_length": 2,
        "horizon": 2,
        "time": "day",
        "impute": "forward",
    }
    panel = {
        **forecast,
        "columns": ["a", "b", "sky=fog", "sky=sun"],
        "mean": [0.0, 1.0, 0.5, 0.5],
        "deviation": [1.0, 2.0, 0.5, 0.5],
        "future": ["sky"],
        "group": ["shop"],
        "static": ["size"],
        "static_mean": [3.0],
        "static_deviation": [1.0],
        "categories": {"sky": ["fog", "sun"]},
        "groups": [{"key": ["x"], "mean": [2.0], "deviation": [3.0], "seasonal_error": [1.0]}],
    }
    rolls = {"_target_": "seqmodels.data.RollPreprocessing"}
    steps = b'{"series": [[1, 2], [3.5, -4e9]]}\n{"text": "1,2,?:3,4,5"}\n{"series": [[0, 0]]}\n'
    columns = {"day": ["2020-01-01", "2020-01-02", "2020-01-03"], "a": [1, 2, 3], "b": [4, None, "6"]}
    table = b"day,a,b\n2020-01-01,1,2.5\n2020-01-02,-3,4e2\n2020-01-03,,6\n"
    labelled = [
        Reader(
            f"records of {type(vocabulary).__name__}",
            examples(
                {
                    "_target_": "seqmodels.data.TokenPreprocessing",
                    "vocabulary": vocabulary.node,
                },
                "jsonl",
            ),
            [json.dumps({"text": line}).encode() for line in TEXTS],
        )
        for vocabulary in VOCABULARIES
    ]
    prompts = [
        Reader(
            f"prompts of {type(vocabulary).__name__}",
            round_trip(vocabulary),
            [line.encode() for line in TEXTS],
            sound=lambda same: None if same else "it does not come back",
        )
        for vocabulary in VOCABULARIES
    ]
    shops = b"day,shop,size,a,b,sky\n" + b"".join(
        b"2020-01-0%d,%s,4,%s,2,%s\n" % (day, shop, b"" if day > 3 else b"1.5", b"sun" if day % 2 else b"fog")
        for shop in (b"x", b"y")
        for day in range(1, 6)
    )
    pieces, window = b'{"frames": [[60, 64], [-1]]}', json.dumps(columns).encode()
    return [
        *labelled,
        *prompts,
        Reader("records of series", examples(series, "jsonl"), [steps], sound=finite_inputs),
        Reader("records of piano rolls", examples(rolls, "jsonl"), [pieces], sound=finite_inputs),
        Reader("rows to forecast", examples(forecast, "csv"), [table], sound=finite_inputs),
        Reader("rows of groups to forecast", examples(panel, "csv"), [shops], sound=finite_inputs),
        Reader("windows to forecast", examples(forecast, "jsonl"), [window], sound=finite_inputs),
    ]
