"""Sphinx: the API reference, made of the docstrings of every public name."""

from pkgutil import resolve_name
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment

import seqmodels
from seqmodels.system.names import public_name

project = "seqmodels"
author = "The seqmodels authors"
release = seqmodels.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
html_copy_source = False
html_theme_options = {"page_width": "1100px", "sidebar_width": "220px"}
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False  # those of torch and Lightning refer to pages of theirs
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False


def setup(app: Sphinx) -> None:
    for role in PythonDomain.roles.values():
        role.warn_dangling = True
    app.connect("autodoc-process-docstring", keep_prose, priority=400)  # before Napoleon
    app.connect("missing-reference", find_in_source)


def keep_prose(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001, PLR0917
    """Keep Napoleon from taking the first words of an attribute's description, up to a colon, for its type."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def find_in_source(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.Element | None:
    """Resolve a reference as Python would where it stands, and link it to the page of the public name, if any.

    A name that does not exist stays unresolved: Sphinx warns of it.
    """
    target, place = node["reftarget"], (node.source or "").rpartition("docstring of ")[2].split(".")
    for end in range(len(place), -1, -1):
        try:
            found = resolve_name(".".join([*place[:end], target]))
        except (ImportError, AttributeError, ValueError):
            continue
        name = public_name(found) if hasattr(found, "__qualname__") else target
        domain = env.domains.python_domain
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, shown) or shown
    return None
