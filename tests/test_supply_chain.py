"""The dependencies of this package exclude versions with known vulnerabilities."""

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = {Requirement(line).name: Requirement(line) for line in PROJECT["dependencies"]}
HARMFUL = {
    "lightning": ("2.6.2", "2.6.3", "2.6.5", "2.0.0"),  # malware twice, then CVE-2026-58659
    "hydra-core": ("1.3.2", "1.3.7"),  # before the line with fixes
    "torch": ("2.5.1",),  # CVE-2025-32434: weights_only ran code
    "omegaconf": ("2.3.0",),
}


@pytest.mark.parametrize(("name", "version"), [(name, version) for name in HARMFUL for version in HARMFUL[name]])
def test_no_version_that_is_known_to_do_harm_is_allowed(name: str, version: str) -> None:
    assert Version(version) not in REQUIRED[name].specifier


@pytest.mark.parametrize("name", REQUIRED)
def test_every_dependency_has_a_lower_bound_that_what_is_installed_keeps(name: str) -> None:
    specifier = REQUIRED[name].specifier
    assert any(bound.operator in (">=", "==", "~=") for bound in specifier), "any version would do"
    assert specifier.contains(Version(metadata.version(name)), prereleases=True)


def test_the_pinned_versions_are_within_the_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {Requirement(line).name.lower(): Requirement(line) for line in lines if line.strip() and line[0] not in "#-"}
    for name, requirement in REQUIRED.items():
        (pin,) = pins[name.lower()].specifier
        assert pin.operator == "==", name
        assert requirement.specifier.contains(Version(pin.version), prereleases=True), name


FLAW = {"id": "CVE-0000-1", "fix_versions": ["2.0"]}


@pytest.mark.parametrize(
    ("report", "status", "text"),
    [
        (None, 0, "audit skipped"),
        ({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 0, "audit skipped"),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 0, "1 packages without a known vulnerability"),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": [FLAW]}]}, 1, "a 1: CVE-0000-1, fixed in 2.0"),
    ],
)
def test_an_audit_fails_for_a_vulnerability_and_is_skipped_where_nobody_answers(
    report: Any, status: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from audit import judged

    got, said = judged(report)
    assert got == status
    assert text in said
