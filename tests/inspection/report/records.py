"""Records as runs of each task leave them, and a course of training, without any training."""

import math
from typing import Any

from tests.inspection.report.small import HOSTILE

COURSE = "epoch,step,val/loss,train/loss,val/accuracy,lr-Adam,gradient_norm/total\n" + "".join(
    f"{n},{10 * n + 9},{1 / (n + 1)},{2 / (n + 1)},{n / 10},,\n,{10 * n + 9},,,,{0.01 / (n + 1)},{2 + n % 3}\n"
    for n in range(9)
)
_PHASE = {"seconds": 2.5, "memory": 400_000_000}
_WAVE = [math.sin(step / 3) for step in range(40)]
_CONFUSION = {"names": [HOSTILE, "b", "b"], "counts": [[5, 1, 0], [0, 7, 2], [0, 0, 3]], "classes": 3}
_TEXTS = [{"input": f"a {HOSTILE}", "reference": "ein Hund", "output": ""}]
_TESTS: dict[str, dict[str, Any]] = {
    "text classification": {
        "confusion": _CONFUSION,
        "errors": [
            {
                "row": 3,
                "loss": 2.5,
                "target": HOSTILE,
                "prediction": "b",
                "input": {"text": HOSTILE * 9},
                "probabilities": {"b": 0.9, HOSTILE: 0.1},
            }
        ],
    },
    "series classification": {
        "confusion": {
            "names": [str(n) for n in range(30)],
            "counts": [[n * m % 7 for n in range(30)] for m in range(30)],
            "classes": 50,
        },
        "errors": [
            {
                "row": 1,
                "loss": 2.5,
                "target": "0",
                "prediction": "1",
                "input": {"series": [_WAVE, _WAVE[::-1]], "step": 2},
            },
            {"row": 2, "loss": 1.5, "target": "0", "prediction": "1", "input": {"image": [[1.0, 0.5], [0.0, None]]}},
        ],
    },
    "multilabel": {
        "labels": [
            {"name": HOSTILE, "right": 2, "predicted": 3, "true": 4},
            {"name": "b", "right": 0, "predicted": 0, "true": 0},
        ],
        "errors": [
            {
                "row": 1,
                "loss": 9.0,
                "target": [["a"], []],
                "prediction": [[], ["a", "b"]],
                "input": {"image": [_WAVE] * 90},
            }
        ],
    },
    "regression": {
        "points": [{"name": HOSTILE, "targets": [1.0, 2.0, None], "predictions": [1.5, 1.75, 2.0]}],
        "errors": [
            {
                "row": 0,
                "loss": 0.5,
                "target": {"price": 3.0},
                "prediction": {"price": 2.5},
                "input": {"series": [_WAVE], "step": 1},
            }
        ],
    },
    "forecasting": {
        "forecasts": [
            {
                "name": HOSTILE,
                "worst": n == 0,
                "past": _WAVE,
                "target": [1.0, 2.0],
                "times": ["2020-01-01", "2020-01-02"],
                "forecast": [1.1, None],
            }
            | ({"low": [0.5, 1.0], "high": [1.5, 3.0]} if n else {})
            for n in range(2)
        ]
    },
    "language_modeling": {"samples": {"temperature": 0.8, "texts": [HOSTILE, "the quick\nbrown fox"]}},
    "tagging": {
        "confusion": _CONFUSION,
        "errors": [
            {
                "row": 1,
                "loss": 1.0,
                "target": ["O", "B-<b>"],
                "prediction": ["O", "O"],
                "input": {"tokens": ["<i>", HOSTILE]},
            }
        ],
    },
    "seq2seq": {
        "texts": {
            "examples": _TEXTS,
            "worst": _TEXTS,
            "attention": [{"source": ["a", "<i>"], "output": ["a", "a"], "weights": [[1, 0], [0.5, 0.5]]}],
        }
    },
    "ctc": {"texts": {"examples": _TEXTS, "worst": []}},
}
RECORDS = {
    task: {
        "phases": dict.fromkeys(("validation", "training", "test"), _PHASE),
        "data": {"rows": {"train": 9}},
        "processes": 1,
        "test": test,
    }
    for task, test in _TESTS.items()
}
