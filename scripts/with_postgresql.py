"""Run a command beside a PostgreSQL server of its own, in a temporary folder that goes away with it.

    python scripts/with_postgresql.py seqmodels sweep experiment=digits_lstm "sweep.storage='\\${oc.env:SWEEP_STORAGE}'"

The command finds the URL of an empty database in SWEEP_STORAGE. The server listens on a socket in its folder, and on no
port. Needs Debian's package ``postgresql``, or ``pg_ctl`` on the PATH; root starts the server as the user ``postgres``,
since PostgreSQL refuses to run as root.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEBIAN = Path("/usr/lib/postgresql")
OPTIONS = "-c listen_addresses='' -c fsync=off -c unix_socket_directories='{folder}'"  # nothing here must last


def programs() -> Path | None:
    """Return the folder of the server's programs, of the newest version; None where there is none."""
    versions = sorted(DEBIAN.glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
    found = shutil.which("pg_ctl") or (versions[-1] if versions else None)
    return Path(found).parent if found else None


@contextmanager
def server() -> Iterator[str]:
    """Run a server while the body runs; yield the URL of its empty database.

    Raises:
        FileNotFoundError: there is no PostgreSQL server.
    """
    bin_folder = programs()
    if bin_folder is None:
        raise FileNotFoundError(f"there is no PostgreSQL server: pg_ctl is neither on the PATH nor in {DEBIAN}/*/bin")
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as place:
        folder, data = Path(place), Path(place) / "data"
        if user is not None:
            shutil.chown(folder, user)
        _run(user, bin_folder / "initdb", "-D", data, "-U", "sweeps", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = OPTIONS.format(folder=folder)
        _run(user, bin_folder / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        try:
            yield f"postgresql+psycopg://sweeps@/postgres?host={folder}"
        finally:
            _run(user, bin_folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def main(command: list[str]) -> int:
    """Run the command, and return its status."""
    if not command:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server is stopped
    with server() as url:
        process = subprocess.Popen(command, env={**os.environ, "SWEEP_STORAGE": url})
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command has had it too
            return process.wait()
        finally:
            process.terminate()
            process.wait()


def _run(user: str | None, *command: Any) -> None:
    """Run a program of the server as a user; its output goes to a file, which the server inherits, not to a pipe."""
    with tempfile.TemporaryFile("w+") as output:
        words = [str(word) for word in command]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            words, user=user, cwd="/", env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(words)} ended with status {done.returncode}: {output.read().strip()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
