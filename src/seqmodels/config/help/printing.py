"""``--help``: what a command does, its keys and groups; or the keys of the groups and options named with it."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

import yaml

from seqmodels.config.compose import composer, parse, search_folders
from seqmodels.config.explaining import check_group, options_of
from seqmodels.config.help.keys import Key, Part, below, choices_of, header, keys_of, parts, read_keys, text_of
from seqmodels.config.hydra_internals import Hydra, group_options, parse_flags
from seqmodels.errors import ConfigError, nearest

GROUPS = ("train", "sweep")
"""The commands that choose options of groups."""
WIDEST_DEFAULT = 32
FOLLOWS = re.compile(r"\$\{(?:oc\.select:)?([a-z_.]+)(?:,null)?\}")
ENVIRONMENT = re.compile(r"\$\{oc\.env:(\w+),(.*)\}")


def help_text(command: str, tokens: list[str]) -> str:
    """Return the help of a command, or that of the groups, options and keys in its command line.

    Args:
        command: name of the configuration.
        tokens: the command line, such as ``["--help", "data=csv_series", "cell", "trainer.max_epochs"]``.

    Raises:
        ConfigError: there is no such group, option or key.

    Example:
        >>> print(help_text("train", ["--help", "initializer=chrono"]))
        initializer=chrono: biases for a memory over many steps (Tallec and Ollivier, 2018)
        <BLANKLINE>
          initializer.max_time  100                        longest time in steps that the memory should span
          initializer._target_  seqmodels.cells.init.chrono
        <BLANKLINE>
    """
    args = parse_flags(tokens)
    words = [word for word in args.overrides if "=" not in word]
    overrides = parse([word for word in args.overrides if "=" in word])
    with composer(args.config_dir, search_folders(overrides)) as hydra:
        chosen = [override for override in overrides if options_of(hydra, override.key_or_group)]
        words += [o.key_or_group for o in overrides if o not in chosen and o.key_or_group != "hydra.searchpath"]
        for override in chosen:
            check_group(hydra, override)
        if not chosen and not words:
            return _command(hydra, command)
        if not chosen and command not in GROUPS:
            return "\n".join(_place(hydra, word, read_keys(text_of(hydra, command)), command) for word in words)
        lines = [str(o.input_line).lstrip("+") for o in chosen]
        found = parts(hydra, command if command in GROUPS else "train", lines)
        shown = [_option(hydra, found, o.key_or_group, name) for o in chosen for name in _names(o.value())]
        shown += [_group(hydra, command, word) or _place(hydra, word, keys_of(hydra, found), command) for word in words]
        return "\n".join(shown)


def _names(value: object) -> list[str]:
    return [str(each).removesuffix(".yaml") for each in (value if isinstance(value, list) else [value])]


def _command(hydra: Hydra, command: str) -> str:
    """Return the help of a command: its usage, its own keys, and the groups with their options."""
    text = text_of(hydra, command)
    choices = [entry for entry in yaml.safe_load(text)["defaults"] if isinstance(entry, dict)]
    (name,) = [value for entry in choices for key, value in entry.items() if key in ("hydra", "override hydra")]
    usage = yaml.safe_load(text_of(hydra, f"hydra/{name}"))["help"]
    blocks = [usage["header"].strip(), "Keys and their defaults:\n" + _table(read_keys(text))]
    if command in GROUPS:
        names = [name for name in groups_of(hydra) if command == "sweep" or name.partition("/")[0] != "sweep"]
        rows = [(name, "", ", ".join(options_of(hydra, name))) for name in names]
        blocks += [
            f"Groups and their options, GROUP=OPTION:\n{_columns(rows)}",
            f"seqmodels {command} --help data=csv_series prints the keys of an option, with defaults and comments;\n"
            f"seqmodels {command} --help data describes the options of a group.",
        ]
    return "\n\n".join(block.rstrip() for block in [*blocks, usage.get("footer", "")] if block) + "\n"


def groups_of(hydra: Hydra, place: str = "") -> list[str]:
    """Return the groups that have options, and those inside them, without Hydra's own."""
    names = [f"{place}/{name}" if place else name for name in hydra.config_loader.list_groups(place)]
    names = [name for name in names if not name.rpartition("/")[2].startswith("_") and name != "hydra"]
    inner = [(name, groups_of(hydra, name)) for name in names]
    return [each for name, below in inner for each in [*([name] if options_of(hydra, name) else []), *below]]


def _group(hydra: Hydra, command: str, name: str) -> str:
    """Return the options of a group with their descriptions, or nothing if there is no such group."""
    options = group_options(hydra, name) if "." not in name else []
    if not options:
        return ""
    rows = [(f"{name}={option}", "", title_of(text_of(hydra, f"{name}/{option}"))) for option in options]
    return f"{name}=\n\n{_columns(rows)}\nseqmodels {command} --help {name}={options[0]} prints its keys\n"


def title_of(text: str) -> str:
    """Return how a file describes itself, or else what it builds."""
    lines = header(text) or [key.default for key in read_keys(text) if key.name.endswith("_target_")]
    return " ".join(lines).removeprefix("seqmodels train experiment=").partition("  -> ")[2] or " ".join(lines)


def _option(hydra: Hydra, found: Sequence[Part], group: str, name: str) -> str:
    """Return the keys of an option, with its description and the options of other groups that it chooses."""
    own = below(found, f"{group}/{name}")
    described = " ".join(header(text_of(hydra, f"{group}/{name}")))
    choices = {key: value for part in own for key, value in choices_of(text_of(hydra, part.path)).items()}
    others = ", ".join(f"{other}={option}" for other, option in choices.items())
    title = f"{group}={name}{': ' if described else ''}{described}" + (f"\nchooses {others}" if others else "")
    return f"{title}\n\n{_table(keys_of(hydra, own))}"


def _place(hydra: Hydra, name: str, keys: Sequence[Key], command: str) -> str:
    """Return the key with this name, or those inside it."""
    here = [key for key in keys if key.name == name or key.name.startswith(f"{name}.")]
    if not here:
        known = {part for key in keys for part in (key.name, key.name.partition(".")[0])} | {*groups_of(hydra)}
        hint = nearest(name, known)
        others = "" if command in GROUPS else "; seqmodels train --help lists the groups of a run"
        raise ConfigError(f"--help {name}: {command} has no such group or key{hint}{others}")
    return f"{name}\n\n{_table(here)}"


def _table(keys: Iterable[Key]) -> str:
    """Return keys as lines: those that must be given first, the class that they go to last."""
    ordered = sorted(keys, key=lambda key: (key.name.endswith("_target_"), key.default != "???"))
    return _columns([(key.name, _shown(key.default), key.comment) for key in ordered]) if ordered else "  no keys\n"


def _shown(default: str) -> str:
    """Return a default in words: required, or the key that it follows."""
    if default == "???":
        return "required"
    if follows := FOLLOWS.fullmatch(default.strip("'\"")):
        return f"follows {follows[1]}"
    if variable := ENVIRONMENT.fullmatch(default):
        return f"${variable[1]}, else {variable[2]}"
    return default


def _columns(rows: Sequence[tuple[str, str, str]]) -> str:
    """Return rows of names, defaults and texts in columns, as wide as the terminal; in a pipe, a row is one line."""
    names = max((len(name) for name, _, _ in rows), default=0)
    defaults = min(max((len(default) for _, default, _ in rows), default=0), WIDEST_DEFAULT)
    width = max(shutil.get_terminal_size().columns, 80) if sys.stdout.isatty() else 10**6
    lines = []
    for name, default, text in rows:
        start = f"  {name:{names}}  {default:{defaults}}  " if defaults else f"  {name:{names}}  "
        indent = " " * min(len(start), names + defaults + 6)
        lines.append(textwrap.fill(start + text, width, subsequent_indent=indent, break_on_hyphens=False).rstrip())
    return "\n".join(lines) + "\n"
