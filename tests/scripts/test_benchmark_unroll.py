"""The benchmark measures what it says, and puts it where it says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.conftest import SCRIPTS

PAGE = "# Performance\n\n<!-- benchmark:begin -->\n\nold\n\n<!-- benchmark:end -->\n\nThe end.\n"


@pytest.mark.long
def test_a_tiny_run_times_all_sides_and_rewrites_its_page(tmp_path: Path) -> None:
    page, data = tmp_path / "page.md", tmp_path / "run.json"
    page.write_text(PAGE)
    settings = ["--cells", "ElmanCell", "--shapes", "3,2,4,5", "--threads", "1", "--budget", "0.5", "--repeats", "2"]
    command = [
        sys.executable,
        str(SCRIPTS / "benchmark_unroll.py"),
        *settings,
        "--json",
        str(data),
        "--markdown",
        str(page),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == int("**no**" in done.stdout), done.stderr
    records = json.loads(data.read_text())["records"]
    sides = {(r["mode"], r["side"]) for r in records}
    assert sides >= {(m, s) for m in ("train", "inference") for s in ("fused", "portable", "native", "eager", "torch")}
    assert all(r["seconds"] > 0 and r["rounds"] >= 2 for r in records)
    text = page.read_text()
    assert text.startswith(PAGE[: PAGE.index("\n\nold")])
    assert text.endswith(PAGE[PAGE.index("<!-- benchmark:end") :])
    assert "fused against nn.RNN" in text
    assert "old" not in text


def test_a_page_without_its_markers_is_left_alone(tmp_path: Path) -> None:
    from benchmarking.report import rewrite

    page = tmp_path / "page.md"
    page.write_text("nothing to replace")
    with pytest.raises(ValueError, match="benchmark:begin"):
        rewrite(page, "new")
    assert page.read_text() == "nothing to replace"


def test_sides_take_turns_and_slow_ones_run_no_more_than_they_must(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarking import timing

    now, order = [0.0], []

    def side(name: str, seconds: float) -> Any:
        def run() -> None:
            order.append(name)
            now[0] += seconds

        return run

    monkeypatch.setitem(timing.CLOCKS, "wall", lambda: now[0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    found = timing.alternate({"quick": side("quick", 0.25), "slow": side("slow", 2.0)}, seconds=20.0, least=3)
    assert found["quick"].median == 0.25
    assert found["slow"].median == 2.0
    assert found["slow"].rounds == 5
    assert found["quick"].rounds > 5
    assert order[3:7] == ["quick", "slow", "slow", "quick"]


def test_targets_compare_geometric_means_and_the_worst_shape() -> None:
    from benchmarking.report import failures, markdown

    def record(shape: str, side: str, seconds: float) -> dict[str, Any]:
        kind = {"group": "cells", "cell": "GRUCell", "shape": shape, "mode": "train", "threads": 2}
        return kind | {"side": side, "seconds": seconds, "rounds": 5}

    fast = [record("1,1,1,1", "fused", 1.0), record("1,1,1,1", "torch", 2.0)]
    fast += [record("2,1,1,1", "fused", 1.0), record("2,1,1,1", "torch", 8.0)]
    assert failures(fast) == 0
    run = {"command": "", "stamp": {}, "records": fast, "memory": [], "build": [], "notes": []}
    assert "4.00 (2.00 at 1,1,1,1)" in markdown(run)
    slow_somewhere = [*fast, record("3,1,1,1", "fused", 2.0), record("3,1,1,1", "torch", 1.0)]
    assert failures(slow_somewhere) == 1
