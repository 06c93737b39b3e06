"""Docstrings: examples run, and every public name of the modelling packages has one and explains its arguments."""

import doctest
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import seqmodels

PACKAGES = ("backends", "cells", "decoding", "interop", "layers", "models", "nn", "sequence")
SOURCES = Path(seqmodels.__file__).parent


def modules() -> Iterator[str]:
    """Yield every module of these packages, and of others those with an example."""
    for file in sorted(SOURCES.rglob("*.py")):
        parts = file.relative_to(SOURCES).with_suffix("").parts
        if parts[0] in PACKAGES or ">>> " in file.read_text(encoding="utf-8"):
            yield ".".join(("seqmodels", *parts)).removesuffix(".__init__")


NAMES = list(modules())
MODULES = [import_module(name) for name in NAMES if name.split(".")[1] in PACKAGES]


def public_names() -> dict[str, Any]:
    """Return what the packages export: functions and classes, but for named tuples and errors."""
    found: dict[str, Any] = {}
    for module in MODULES:
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        names = own if module.__name__ == "seqmodels.sequence" else getattr(module, "__all__", ())
        things = {f"{module.__name__}.{name}": getattr(module, name) for name in names if not name.startswith("_")}
        found |= {name: it for name, it in things.items() if inspect.isfunction(it) or inspect.isclass(it)}
    return {name: it for name, it in found.items() if not hasattr(it, "_fields")}


PUBLIC = public_names()


@pytest.mark.parametrize("name", NAMES)
def test_examples_print_what_they_say(name: str) -> None:
    """``torch`` is there without an import, as in the documentation of PyTorch."""
    failed, _ = doctest.testmod(
        import_module(name), extraglobs={"torch": torch}, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example(name: str) -> None:
    assert ">>>" in (PUBLIC[name].__doc__ or "")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_explains_its_arguments(name: str) -> None:
    thing = PUBLIC[name]
    protocol = getattr(thing, "_is_protocol", False)
    own = not inspect.isclass(thing) or ("__init__" in vars(thing) and not protocol)
    parameters = inspect.signature(thing).parameters if own else {}
    explained = re.findall(r"^ {4,8}((?:\w+, )*\w+): ", thing.__doc__ or "", flags=re.MULTILINE)
    assert set(parameters) <= {word for names in explained for word in names.split(", ")}
