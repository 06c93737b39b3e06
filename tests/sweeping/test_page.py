"""The page of a sweep in a browser."""

import json
import shutil
import subprocess
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from seqmodels.sweeping.page import write_page
from seqmodels.sweeping.study import quiet_optuna

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def study(*names: str, slope: float = 1.0) -> optuna.Study:
    """A study of complete, pruned and failed trials, of a number, a choice and a hostile name."""
    created = optuna.create_study(directions=["minimize"] * len(names))
    created.set_metric_names(list(names))
    rate = optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    cell = optuna.distributions.CategoricalDistribution(["lstm", "<script>alert(1)</script>"])
    for number in range(9):
        state = TrialState.FAIL if number == 3 else TrialState.COMPLETE
        params = {"optimizer.lr": 10 ** (-1 - number / 4), "cell": cell.choices[number % 2]}
        created.add_trial(
            create_trial(
                state=state,
                params=params,
                distributions={"optimizer.lr": rate, "cell": cell},
                values=[slope / (number + 1) + index for index in range(len(names))] if number != 3 else None,
                intermediate_values={1: 1.0, 2: 0.5} if len(names) == 1 else {},
                user_attrs={"cause": "<b>no</b>"} if number == 3 else {},
            )
        )
    return created


@pytest.mark.parametrize("names", [("val/loss",), ("val/loss", "seconds")], ids=["one", "two"])
@pytest.mark.parametrize("slope", [1.0, 0.0])
def test_what_matters_is_drawn_only_where_some_trials_are_better(
    slope: float, names: tuple[str, ...], tmp_path: Path
) -> None:
    with quiet_optuna():
        write_page(tmp_path / "page.html", "Sweep", study(*names, slope=slope), None, "seqmodels train")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<h2>Importance for") == slope * len(names)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
@pytest.mark.parametrize("names", [("val/loss",), ("val/loss", "seconds")], ids=["one", "two"])
def test_the_page_opens_without_errors_and_fetches_nothing(names: tuple[str, ...], tmp_path: Path) -> None:
    assert CHROMIUM is not None
    page, log = tmp_path / "page.html", tmp_path / "net.json"
    with quiet_optuna():
        write_page(page, "Sweep <i>x</i>", study(*names), None, "seqmodels train")
    done = subprocess.run(
        [
            *(
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
            ),
            *(
                "--disable-component-update",
                "--disable-sync",
                "--disable-default-apps",
                f"--user-data-dir={tmp_path}/profile",
            ),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", f"--log-net-log={log}"),
            *("--virtual-time-budget=15000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert done.stdout.count("main-svg") > 4  # the plots are drawn
    assert "<b>no</b>" not in done.stdout
    assert not fetched(log)


def fetched(log: Path) -> list[str]:
    """Return the addresses that the page requested except its own file; Chromium's own requests have no origin."""
    events = json.loads(log.read_text())["events"]
    requested = [event.get("params", {}) for event in events]
    mine = [params for params in requested if str(params.get("initiator", "")).startswith(("file://", "null"))]
    return [str(params["url"]) for params in mine if "url" in params and not str(params["url"]).startswith("file://")]
