"""The dependencies of this package: complete, bounded, without versions with known vulnerabilities; its extras."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = {Requirement(line).name: Requirement(line) for line in PROJECT["dependencies"]}
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
FOR_USERS = EXTRAS.keys() - {"dev"}
PACKAGE_OF = {
    "yaml": "pyyaml",
    "hydra": "hydra-core",
    "sklearn": "scikit-learn",
    "onnx_ir": "onnx-ir",
    "prometheus_client": "prometheus-client",
}  # modules not named as their packages
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


@pytest.mark.parametrize("extra", sorted(FOR_USERS))
def test_every_package_of_an_extra_has_a_lower_bound(extra: str) -> None:
    """A resolver that meets a conflict goes back to the first release of a package without one."""
    unbounded = [
        str(r) for r in EXTRAS[extra] if r.name != "seqmodels" and not any(">" in b.operator for b in r.specifier)
    ]
    assert unbounded == []


def test_the_pinned_versions_are_within_the_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    for requirement in [*REQUIRED.values(), *(package for extra in EXTRAS.values() for package in extra)]:
        name = canonicalize_name(requirement.name)
        if name in pins:  # what `make install` does not install is not pinned
            (pin,) = pins[name].specifier
            assert pin.operator == "==", name
            assert requirement.specifier.contains(Version(pin.version), prereleases=True), name
    assert {canonicalize_name(name) for name in REQUIRED} <= pins.keys()


def imported(nodes: list[ast.stmt]) -> set[str]:
    """Return the packages outside this one and the standard library that the statements import."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    return {PACKAGE_OF.get(name, name) for name in names - sys.stdlib_module_names - {"seqmodels"}}


def test_whatever_is_imported_is_declared_and_extras_are_imported_when_they_are_used() -> None:
    core = set(REQUIRED)
    folders = {"sweeping": "sweep", "onnx": "onnx", "serving": "serve"}  # which are imported by their commands alone
    extras = {package.name for name in FOR_USERS for package in EXTRAS[name]}
    for file in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        everywhere = imported([node for node in ast.walk(tree) if isinstance(node, ast.stmt)])
        assert everywhere <= core | extras, file
        own = {package.name for package in EXTRAS.get(folders.get(file.parent.name, ""), [])}
        assert imported(tree.body) <= core | own, file


def test_every_extra_that_is_named_exists() -> None:
    places = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    places += [*(ROOT / "src").rglob("*.py"), *(ROOT / "configs").rglob("*.yaml")]
    named = {
        extra
        for place in places
        for names in re.findall(r"seqmodels\[([a-z,-]+)\]", place.read_text(encoding="utf-8"))
        for extra in names.split(",")
    }
    assert {"text", "sweep", "parquet", "hf"} <= named <= FOR_USERS


def test_the_readme_lists_the_extras() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| extra \|.*\n\|.*\n((?:\|.*\n)+)", readme, flags=re.MULTILINE)
    names = [name for row in table.splitlines() for name in re.findall(r"`([\w-]+)`", row.split("|")[1])]
    assert sorted(names) == sorted(FOR_USERS)


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
