"""The page to try a model, in a browser."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

import seqmodels
from tests.exporting.saved import ctc, language_modeling, regression, texts
from tests.serving.running import Client, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-default-apps", "--enable-logging=stderr"),
    *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=15000", "--dump-dom"),
)
HOSTILE = "fine <b>film</b>"


def opened(client: Client, fragment: str, folder: Path) -> str:
    """Open the page in a browser; return its content when all is quiet. It logs nothing and asks nobody else."""
    assert CHROMIUM is not None
    log, here = folder / "net.json", f"http://127.0.0.1:{client.port}"
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={folder}/profile", f"--log-net-log={log}", f"{here}/#{fragment}"],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    requested = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    mine = [params for params in requested if str(params.get("initiator", "")).startswith(here)]
    assert [params["url"] for params in mine if "url" in params and not params["url"].startswith(here)] == []
    return done.stdout


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
def test_a_text_is_classified_in_a_browser(tmp_path: Path) -> None:
    model = seqmodels.load(texts(tmp_path).run)
    (expected,) = model.predict([HOSTILE])
    with running(model) as client:
        page = opened(client, f"input={quote(HOSTILE)}", tmp_path)
    assert f"<caption>{expected.label}</caption>" in page
    assert all(f"<td>{value:.4f}</td>" in page for value in expected.probabilities.values())
    assert "<b>" not in page


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
def test_a_series_is_plotted_and_a_text_is_written_in_a_browser(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    model = seqmodels.load(regression(tmp_path / "series").run)
    with running(model) as client:
        assert client("GET", "/v1/model").body["channels"] == 2
        page = opened(client, "input=" + quote("0.5,1\n1.5,2\n0.25,3"), tmp_path / "series")
    assert page.count("<polyline") == page.count("stroke: hsl(") == 2
    assert "3 steps from 0.25 to 3" in page
    (expected,) = model.predict([[[0.5, 1], [1.5, 2], [0.25, 3]]])
    assert f"<th>price</th><td>{expected.values['price']:.5g}"[:24] in page
    (tmp_path / "texts").mkdir()
    writer = seqmodels.load(language_modeling(tmp_path / "texts").run)
    with running(writer) as client:
        page = opened(client, "prompt=fine", tmp_path / "texts")
    assert writer.generate("fine", length=200).strip()[:20] in page.partition('id="text"')[2]


def test_the_page_offers_an_upload_where_the_model_reads_recordings(tmp_path: Path) -> None:
    with running(seqmodels.load(ctc(tmp_path).run)) as client:
        about = client("GET", "/v1/model").body
        page = client("GET", "/").body.decode()
    assert about["reads"] == "recording"
    assert about["sample_rate"] == 4000
    assert 'type="file" accept="audio/*' in page
    assert "http" not in page
