"""The reports of all tasks in Chromium: drawn without errors and without a request, on a desktop and on a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from seqmodels.inspection import Finding, heat_map, marked_series
from seqmodels.inspection.charts import lines, over_each_other
from seqmodels.inspection.finding import page_of
from seqmodels.inspection.production.slices import Slice
from seqmodels.inspection.production.slices_page import figure_of
from seqmodels.inspection.report.blocks import Section, Table
from seqmodels.inspection.report.images import write_images
from seqmodels.inspection.report.page import write_page
from seqmodels.inspection.report.single import run_page
from tests.inspection.report.records import COURSE, RECORDS
from tests.run_folders import run_folder
from tests.sweeping.test_page import CHROMIUM, fetched

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]
SEEN = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const results = [], frames = [];
for (const [name, width] of PAGES) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 800px; border: 0`;
  frame.src = name;
  document.body.append(frame);
  frames.push([name, width, frame]);
}
const look = () => {
  const drawn = ([, , frame]) => frame.contentDocument?.body?.dataset.drawn;
  if (!frames.every(drawn)) { setTimeout(look, 100); return; }
  for (const [name, width, frame] of frames) {
    const page = frame.contentDocument;
    const plots = page.querySelectorAll(".main-svg").length;
    const titles = page.querySelectorAll(".gtitle:not(:empty)").length;
    results.push([name, width, plots, page.documentElement.scrollWidth, page.title, titles]);
  }
  document.body.textContent = "found" + JSON.stringify(results) + "end";
};
look();
</script>"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a run of each task, and a page of ``seqmodels explain``."""
    folder, found = tmp_path_factory.mktemp("reports"), {}
    run = run_folder(folder / "run", "cell=gru", "seed=3", metrics={"best/val/loss": 0.5, "test/accuracy": 0.75})
    (run / "metrics.csv").write_text(COURSE)
    for task, record in RECORDS.items():
        (run / "record.json").write_text(json.dumps(record))
        found[task] = folder / f"{task}.html"
        write_page(found[task], run_page(run))
    found["explain"] = folder / "explain.html"
    found["explain"].write_text(page_of(_finding()))
    return found


def _finding() -> Finding:
    """What ``seqmodels explain`` may find, with names that fill a phone."""
    names = [f"the share of tokens of kind {number} that no vocabulary has" for number in range(8)]
    values = np.linspace(-1, 1, 8 * 30).reshape(30, 8)
    group = Slice("a long name of a column", names[0], 30, 0.5, 0.4, 0.01, 0.7, significant=True)
    unit = lines({"unit 3": values[:, 0]}, x_title="step", y_title="h")
    figures = {
        "contributions": heat_map(values.T, y=names, y_title=""),
        "series": marked_series(values, values, names),
        "unit": over_each_other(unit, lines({names[1]: 9 * values[:, 1]}, x_title="step", y_title=names[1])),
        "slices": figure_of([group] * 5),
    }
    return Finding("run", "A sentence.", {}, figures, [Section("units", [Table(names, [names])])])


def test_every_report_is_drawn_on_a_desktop_and_a_phone_and_fetches_nothing(
    pages: dict[str, Path], tmp_path: Path
) -> None:
    assert CHROMIUM is not None
    folder, log = next(iter(pages.values())).parent, tmp_path / "net.json"
    shown = [[path.name, width] for path in pages.values() for width in (1280, 390)]
    (folder / "all.html").write_text(SEEN.replace("PAGES", json.dumps(shown)))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--disable-default-apps", "--enable-logging=stderr"]
    flags += ["--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}"]
    flags += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=60000", "--window-size=1300,900"]
    command = [CHROMIUM, *flags, "--dump-dom", (folder / "all.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    (found,) = re.findall(r"found(\[.*\])end", done.stdout)
    results = json.loads(found)
    assert [result[:2] for result in results] == shown
    for name, width, plots, scroll, title, titles in results:
        assert plots >= 4, name
        assert scroll <= width, f"{name} is wider than the screen"
        assert title == "run", "nothing in the data ran"
        assert titles == 0, f"{name}: plotly wraps no titles, so that a phone cuts them"
    assert not fetched(log)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_every_figure_is_written_as_an_image(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    run = run_folder(tmp_path / "run", "cell=gru", metrics={"best/val/loss": 0.5})
    (run / "record.json").write_text(json.dumps(RECORDS["forecasting"]))
    page = run_page(run)
    images = write_images(page, tmp_path / "images", kind)  # type: ignore[arg-type]
    assert len(images) == len(page.figures) == len({*images})
    start = {"svg": b"<svg", "png": b"\x89PNG"}[kind]
    assert all(path.read_bytes().startswith(start) for path in images)
    shutil.rmtree(tmp_path / "images")
