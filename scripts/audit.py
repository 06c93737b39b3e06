"""Known vulnerabilities of the pinned dependencies: ``make audit``.

    python scripts/audit.py [constraints.txt]

Asks pip-audit, which asks PyPI's advisories. Where either is not there the audit is skipped, with a notice and status
0, so that work goes on without a network; a vulnerability is status 1.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300


def main() -> int:
    pins = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "constraints.txt")
    command = [sys.executable, "-m", "pip_audit", "--requirement", pins, "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        report = None
    status, text = judged(report)
    print(text)
    return status


def judged(report: Any) -> tuple[int, str]:
    """Return the exit status for a report of pip-audit and what to say; None stands for no report."""
    packages = report.get("dependencies", []) if isinstance(report, dict) else []
    asked = [package for package in packages if "vulns" in package]
    found = [(package, flaw) for package in asked for flaw in package["vulns"]]
    if found:
        lines = [
            f"{package['name']} {package['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or '-'}"
            for package, flaw in found
        ]
        return 1, "\n".join(lines)
    if not asked:
        return 0, "audit skipped: pip-audit is not installed, or nobody answered it (no network?)"
    skipped = len(packages) - len(asked)
    return 0, f"{len(asked)} packages without a known vulnerability" + (f", {skipped} unknown" if skipped else "")


if __name__ == "__main__":
    sys.exit(main())
