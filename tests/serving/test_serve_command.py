"""The command, and the examples of how to run it."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Answer
from tests.exporting.saved import language_modeling

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "serving"


def test_the_command_serves_and_ends_requests_that_have_begun_when_it_is_told_to_stop(tmp_path: Path) -> None:
    run = language_modeling(tmp_path).run
    process = subprocess.Popen(
        [sys.executable, "-m", "seqmodels", "serve", f"model={run}", "port=0", "limits.generated=100000"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        (port,) = next(found.groups() for line in process.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)$", line)))
        with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=120)) as connection:
            body = json.dumps({"prompt": "fine", "length": 3000, "stream": True})
            connection.request("POST", "/v1/generate", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            begun = response.read(20)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            text = begun + response.read()
        assert text.rstrip().endswith(b"event: end\ndata: {}")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.stderr.close()
        process.wait(60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "run must be given"),
        (["model=nowhere"], "nowhere: there is no such folder"),
        (["model=RUN", "host=0.0.0.0"], "host=0.0.0.0 can be reached from other machines, which needs a token="),
        (["model=RUN", "token=short"], "token must be a text of at least 16 characters"),
        (["model=RUN", "limits.batch_size=0"], "limits.batch_size must be a positive whole number, got 0"),
        (["model=RUN", "limits.bach_size=1"], "did you mean 'batch_size'?"),
        (["model=RUN", "port=99999"], "port must be 0 to 65535"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_told_before_anything_is_served(
    options: list[str], message: str, command: Callable[..., Answer], tmp_path: Path
) -> None:
    run = tmp_path / "model"
    run.mkdir()
    (run / "config.json").write_text("{}")
    done = command("serve", *(option.replace("RUN", str(run)) for option in options))
    assert done.status == 2
    assert message in done.err


def test_the_dockerfile_is_pinned_runs_without_privileges_and_copies_what_exists() -> None:
    lines = (EXAMPLES / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    names = [name for name, _ in steps]
    assert names[0] == "FROM"
    assert re.fullmatch(r"\S+:\d+\.\d+\S*", dict(steps[:1])["FROM"]), "a version, not latest"
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")
    assert names.count("ENTRYPOINT") == names.count("HEALTHCHECK") == 1
    root = EXAMPLES.parents[1]
    copied = [part for name, rest in steps if name == "COPY" for part in rest.split()[:-1] if "$" not in part]
    assert copied
    assert all((root / part).exists() for part in copied)
    entry = json.loads(dict(steps)["ENTRYPOINT"])
    assert entry[:2] == ["seqmodels", "serve"]
    assert "token=${oc.env:SERVE_TOKEN}" in entry
    for _, rest in (step for step in steps if step[0] == "RUN" and "apt-get install" in step[1]):
        assert "--no-install-recommends" in rest
        assert "rm -rf /var/lib/apt/lists" in rest


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (EXAMPLES / "seqmodels-serve.service").read_text("utf-8")
    assert "token=$${oc.env:SERVE_TOKEN}" in text
    unit = tmp_path / "seqmodels-serve.service"
    unit.write_text(text.replace("/opt/seqmodels/bin/seqmodels", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
