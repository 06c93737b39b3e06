"""Names from outside are escaped in HTML pages and model cards."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from seqmodels.cells import GRUCell
from seqmodels.sweeping.page import write_page
from seqmodels.training.model_folder import save_model

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Tags(HTMLParser):
    """Collects what a browser would see as tags, and what stands in scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self.scripts: list[str] = []
        self.within = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.images += tag == "img"
        self.within = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.within = False

    def handle_data(self, data: str) -> None:
        if self.within:
            self.scripts.append(data)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_no_name_in_a_sweep_becomes_a_tag_of_its_page(tmp_path: Path) -> None:
    study = optuna.create_study(study_name=EVIL)
    study.set_metric_names([f"val/{EVIL}"])
    kinds: Any = {f"key{EVIL}": CategoricalDistribution((EVIL, "b")), "x": FloatDistribution(0.0, 9.0)}
    for number in range(5):
        values = {f"key{EVIL}": (EVIL, "b")[number % 2], "x": float(number)}
        trial = create_trial(params=values, distributions=kinds, values=[number**2], user_attrs={"cause": EVIL})
        study.add_trial(trial)
    write_page(tmp_path / "page.html", f"Sweep {EVIL}", study, None, f"seqmodels train name='{EVIL}'")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.images == 0
    assert not [script for script in tags.scripts if script.startswith("alert(1)")]
    assert "&lt;script&gt;alert(1)" in page, "the name is shown"


@pytest.mark.parametrize(
    "evil", [EVIL, "`<b>`", "[click](javascript:alert(1))", "![x](http://x/y.png)", "a\n\n# b\n| c |"]
)
def test_no_name_in_a_model_folder_becomes_markup_of_its_card(evil: str, tmp_path: Path) -> None:
    node = {"_target_": evil}
    config = {**dict.fromkeys(("model", "cell", "regularizers", "task", "data"), node), "name": evil}
    recipe = {"config": config, "sizes": {}, "class_names": [evil], "preprocessing": None}
    save_model(tmp_path, GRUCell(3, 5), recipe, {f"test/{evil}": 0.5})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "<" not in card
    assert "](" not in card
    assert card.count("`") == 6 + 6, "three names in code, and a fence around the example"
    assert [line for line in card.splitlines() if line.startswith("#")] == [card.splitlines()[0]]
    assert sum(line.startswith("|") for line in card.splitlines()) == 3
