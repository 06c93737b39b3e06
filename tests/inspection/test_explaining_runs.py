"""``seqmodels explain`` looks into a run in every way that its task allows."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Answer

Command = Callable[..., Answer]
SMALL = [
    *("cell=lstm", "cell.hidden_size=5", "model.embedding_size=4", "trainer=cpu", "trainer.max_epochs=2"),
    *("logger=none", "baselines=false", "hydra.run.dir=logs/a/run"),
]
WORDS = {"pos": ["good", "fine"], "neg": ["bad", "poor"]}


def written(name: str, rows: int, seed: int, *, ending: str = "", wrong: str = "") -> None:
    """Write texts of which one word decides, in three shops; a tenth of the labels is wrong, in ``wrong`` all are."""
    draw = random.Random(seed)
    lines = ["text,label,shop"]
    for _ in range(rows):
        label, shop = draw.choice(["pos", "neg"]), draw.choice(["north", "south", "east"])
        words = [*draw.choices(["a", "film", "plot", "it", "was"], k=draw.randint(3, 9)), draw.choice(WORDS[label])]
        draw.shuffle(words)
        shown = {"pos": "neg", "neg": "pos"}[label] if shop == wrong or draw.random() < 0.1 else label
        lines.append(f"{' '.join(words)}{ending},{shown},{shop}")
    Path(name).write_text("\n".join(lines) + "\n")


def test_a_run_on_texts_is_explained_in_every_way_and_what_is_not_there_is_refused(command: Command) -> None:
    written("my.csv", 200, 0)
    written("same.csv", 60, 1)
    written("moved.csv", 60, 2, ending=" <b>unheard</b> of")
    written("wrong.csv", 150, 3, wrong="south")
    answer = command("train", "data=text_csv", "data.path=my.csv", *SMALL, "optimizer.lr=0.05", "data.batch_size=8")
    assert answer.status == 0, answer.err
    assert json.loads(Path("logs/a/run/model/statistics.json").read_text())["rows"] == 160

    def explained(what: str, *more: str) -> Answer:
        done = command("explain", "run=logs/a/run", f"what={what}", *more)
        assert done.status == 0, done.err
        assert Path(f"logs/a/run/explain/{what}.html").is_file()
        return done

    assert "follows" in explained("gates", "rows=30").out
    shown = explained("attribution", "input=moved.csv", "rows=5").out
    assert "within" in shown
    assert "<b>" not in Path("logs/a/run/explain/attribution.html").read_text()
    explained("attribution", "method=occlusion", "target=neg")
    assert explained("drift", "input=same.csv").out.startswith("No drift")
    moved = explained("drift", "input=moved.csv").out
    assert "tokens that are not in the vocabulary (major" in moved
    assert "length (m" in moved
    assert "temperature" in explained("calibration", "input=wrong.csv").out
    assert "shop = 'south'" in explained("slices", "input=wrong.csv").out
    assert "the worst is 'south'" in explained("slices", "input=wrong.csv", "by=shop").out
    for tokens, reason in REFUSED.items():
        answer = command("explain", "run=logs/a/run", *tokens, "output=none")
        assert answer.status == 2, tokens
        assert reason in answer.err
        assert not list(Path("none").glob("*"))


REFUSED = {
    ("what=slices", "by=shp", "input=same.csv"): "by=shp is no column of same.csv; did you mean 'shop'?",
    ("what=attribution", "method=occlude"): "did you mean 'occlusion'?",
    ("what=attribution", "target=pss"): "target=pss is not among the 2 names; did you mean 'pos'?",
    ("what=drift", "input=nowhere.csv"): "nowhere.csv cannot be read",
}
