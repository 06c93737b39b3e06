"""Compose and check configurations with Hydra.

Everything here runs before torch is imported, so that a typo on the command line is reported at once.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from seqmodels.config.allowlist import check_names, check_package, resolve
from seqmodels.config.explaining import COMPOSE_ERRORS, check_group, explain, first_lines, is_group
from seqmodels.config.files import check_files, config_folder
from seqmodels.config.help.meaning import meant
from seqmodels.config.hydra_internals import Hydra, create_config_search_path
from seqmodels.config.hydra_names import check_hydra_names
from seqmodels.config.quoting import quoted_for_shell
from seqmodels.config.run_name import run_name
from seqmodels.config.signatures import OWN
from seqmodels.config.variables import track_environment
from seqmodels.errors import ConfigError, nearest

OVERRIDE_KEY = re.compile(r"[+~]{0,2}[\w./@:-]+")
EMBEDDED_DATA = {"language_modeling": "python_docs", "regression": "adding", "seq2seq": "copy"}
"""Data sets that are embedded or generated, so that they need no files, by task."""

OmegaConf.register_new_resolver("run_name", run_name, replace=True)  # not in a function: jobs of launchers only import


@contextmanager
def composer(config_dir: str | None = None, others: Sequence[str] = ()) -> Iterator[Hydra]:
    """Open Hydra on the package's configurations, those in ``config_dir``, and ``others`` from ``hydra.searchpath``.

    Raises:
        ConfigError: a folder does not exist, or a file in it is not a valid configuration.
        TargetRefused: a package in the search path is not on the allow-list.
    """
    search_path = create_config_search_path(str(config_folder()))
    if config_dir is not None:
        folder = Path(config_dir).absolute()
        if not folder.is_dir():
            raise ConfigError(f"--config-dir {config_dir}: there is no such folder")
        check_files(folder)
        search_path.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
    for place in others:
        _check_search_path(place)
        search_path.prepend("hydra.searchpath", place, anchor=SearchPathQuery(provider="schema"))
    track_environment()
    version.setbase("1.3")  # this version does not change the working directory
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("seqmodels", search_path)
    finally:
        GlobalHydra.instance().clear()


def _check_search_path(place: str) -> None:
    scheme, separator, path = place.partition("://")
    if scheme == "pkg":  # searching its files imports it
        check_package(path, "hydra.searchpath")
    elif not separator or scheme == "file":
        folder = Path(path if separator else place)
        if not folder.is_dir():
            raise ConfigError(f"hydra.searchpath: there is no folder {folder}")
        check_files(folder)


def compose(config_name: str, overrides: list[str], config_dir: str | None = None) -> DictConfig:
    """Return the checked configuration of one run, including its node ``hydra``.

    Raises:
        ConfigError: an override names a group, option or key that does not exist, or composing fails.
        TargetRefused: a ``_target_`` is not on the allow-list.
    """
    with composed(config_name, overrides, config_dir) as (_, config):
        return config


@contextmanager
def composed(
    config_name: str, overrides: list[str], config_dir: str | None = None
) -> Iterator[tuple[Hydra, DictConfig]]:
    """Check every job of a command line before any starts; yield the configuration of the first job.

    In a sweep over several groups, each option is checked once, not every combination. The yielded Hydra is open as
    long as the context.

    Raises:
        ConfigError, TargetRefused: see :func:`compose`.
    """
    parsed = parse(overrides)
    with composer(config_dir, search_folders(parsed)) as hydra:
        for override in parsed:
            check_group(hydra, override)
        choices = [_alternatives(hydra, override) for override in parsed]
        first = [values[0] for values in choices]
        config = _compose_checked(hydra, config_name, first)
        for index, values in enumerate(choices):
            for value in values[1:]:
                _compose_checked(hydra, config_name, [*first[:index], value, *first[index + 1 :]])
        yield hydra, config


def parse(overrides: list[str]) -> list[Override]:
    """Parse the overrides of a command line.

    Raises:
        ConfigError: one of them is not ``key=value``, or its value must be quoted.
    """
    parser = OverridesParser.create()
    parsed = []
    for override in overrides:
        try:
            parsed.append(parser.parse_override(override))
        except COMPOSE_ERRORS as error:
            raise ConfigError(_unreadable(override, error)) from error
    return parsed


def _unreadable(override: str, error: Exception) -> str:
    key, equals, value = override.partition("=")
    if equals and isinstance(error, HydraException) and OVERRIDE_KEY.fullmatch(key) and value[0] not in "[{":
        return f"cannot read the value of {override}: quote it, {quoted_for_shell(key, value)}"
    if not equals:
        return f"cannot read the override {override!r}, which has no '='; overrides look like key=value"
    return f"cannot read an override: {first_lines(error)}; overrides look like key=value"


def check_single(overrides: list[str]) -> None:
    """Raise ``ConfigError`` if a key has several values, which only a multirun takes."""
    for override in parse(overrides):
        if override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line}: several values; add -m to run each of them, "
                f"or quote a text that has commas: {quoted_for_shell(*str(override.input_line).split('=', 1))}"
            )


def search_folders(overrides: list[Override]) -> list[str]:
    """Return the folders in the last ``hydra.searchpath=[...]``."""
    given = [override.value() for override in overrides if override.key_or_group == "hydra.searchpath"]
    last = given[-1] if given else []
    if not isinstance(last, list) or not all(isinstance(place, str) for place in last):
        raise ConfigError(f"hydra.searchpath must be a list of folders, [file:///my/configs], got {last!r}")
    return [str(place) for place in last]


def implied(overrides: list[str]) -> list[str]:
    """Return the choices of groups that follow from overrides.

    A ``_target_`` of the user's own replaces a part whose option is not chosen, and is not given the keys of the
    default one. The default data are for classification; another task takes a set that needs no files.

    Example:
        >>> implied(["optimizer._target_=torch.optim.SGD"]), implied(["task=regression"])
        (['optimizer=own'], ['data=adding'])
    """
    chosen = dict(override.partition("=")[::2] for override in overrides)
    if "experiment" in chosen:
        return []
    groups = [key.removesuffix("._target_") for key in chosen if key.endswith("._target_")]
    own = [group for group in groups if group in OWN and group not in chosen]
    data = None if {"data", "data._target_"} & set(chosen) else EMBEDDED_DATA.get(chosen.get("task", ""))
    return [*(f"{group}=own" for group in own), *([f"data={data}"] if data else [])]


def without_null(override: str) -> str:
    """Return an override by which a group has no option, as Hydra reads it: ``none`` if there is one, else a deletion.

    Example:
        >>> [without_null(each) for each in ("initializer=null", "regularizers=null", "~logger", "cell=gru")]
        ['~initializer', 'regularizers=none', 'logger=none', 'cell=gru']
    """
    group = override.removeprefix("~") if override.startswith("~") else override.removesuffix("=null")
    if group == override or not re.fullmatch(r"[a-z_/]+", group) or not (folder := config_folder() / group).is_dir():
        return override
    return f"{group}=none" if (folder / "none.yaml").is_file() else f"~{group}"


def _compose_checked(hydra: Hydra, config_name: str, overrides: list[Override]) -> DictConfig:
    for override in overrides:
        check_group(hydra, override)
    lines = [str(override.input_line) for override in overrides]
    try:
        config = hydra.compose_config(config_name, lines, RunMode.RUN, with_log_configuration=False)
        _check_targets(config)
    except ConfigError:
        raise
    except COMPOSE_ERRORS as error:
        raise explain(hydra, config_name, overrides, error) from error
    _check_texts(hydra, config_name, overrides, config)
    added = {override.key_or_group.partition(".")[0]: override for override in overrides if override.is_add()}
    known = {str(key) for key in config} - set(added)
    for name, override in added.items():
        if override.is_force_add():
            continue
        key = meant(config, name) if override.key_or_group == name else None
        hint = f"; did you mean {key!r}?" if key else nearest(name, known, cutoff=0.8)
        if hint:
            raise ConfigError(f"{override.input_line} adds a key {name!r}{hint} (++ adds it in any case)")
    return config


def _check_texts(hydra: Hydra, config_name: str, overrides: list[Override], config: DictConfig) -> None:
    """Check that no override replaces a number by a text where only a number is valid."""
    texts = [o for o in overrides if isinstance(o.value(), str) and not is_group(hydra, o) and not o.is_add()]
    texts = [o for o in texts if "${" not in str(o.value()) and not o.key_or_group.startswith("hydra.")]
    if not texts:
        return
    chosen = [o for o in overrides if is_group(hydra, o) or o.key_or_group == "hydra.searchpath"]
    # defaults as the groups set them: an experiment may give a number where a text is valid
    groups = [str(o.input_line) for o in chosen if o.key_or_group != "experiment"]
    try:
        defaults = hydra.compose_config(config_name, groups, RunMode.RUN, with_log_configuration=False)
    except COMPOSE_ERRORS:  # a group that only the experiment has
        lines = [str(o.input_line) for o in chosen]
        defaults = hydra.compose_config(config_name, lines, RunMode.RUN, with_log_configuration=False)
    for override in texts:
        key = override.key_or_group
        default = OmegaConf.select(defaults, key, throw_on_resolution_failure=False)
        value = OmegaConf.select(config, key, throw_on_resolution_failure=False)  # maybe of a later override
        if isinstance(default, int | float) and isinstance(value, str):
            _check_text(config, key, value, default)


def _check_text(config: DictConfig, key: str, value: str, default: float) -> None:
    """Check a text in the place of a number: below a ``_target_`` its annotation decides, elsewhere the default."""
    place, _, name = key.rpartition(".")
    node: Any = OmegaConf.select(config, place, throw_on_resolution_failure=False) if place else None
    if OmegaConf.is_dict(node) and isinstance(node.get("_target_"), str):
        from seqmodels.config.signatures import check_argument  # noqa: PLC0415  (imports torch, so only for this case)

        check_argument(resolve(node["_target_"], place), place, name, value)
        return
    kind = "true or false" if isinstance(default, bool) else f"a number, like {default}"
    raise ConfigError(f"{key} must be {kind}, got {value!r}")


def _check_targets(config: DictConfig) -> None:
    """Check all targets of a configuration; the node ``hydra``, which only a running job can resolve, is unresolved."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    check_hydra_names(plain.pop("hydra", {}))
    config = config.copy()
    with open_dict(config):
        config.pop("hydra")
    for place, target in _targets(config):
        check_names({"_target_": target}, place)


def _targets(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the resolved ``_target_`` of every dict; the target of an interpolation is visited at its own key."""
    keys: Any = node.keys() if OmegaConf.is_dict(node) else range(len(node))
    for key in keys:
        if key == "_target_":
            yield place, node[key]
        elif not OmegaConf.is_interpolation(node, key) and OmegaConf.is_config(node._get_node(key)):
            yield from _targets(node[key], f"{place}.{key}" if place else str(key))


def _alternatives(hydra: Hydra, override: Override) -> list[Override]:
    """Return the values of a swept override: all for a group or one of Hydra's keys, else only the first."""
    if not override.is_sweep_override():
        return [override]
    values = list(override.sweep_string_iterator())
    key = override.get_key_element()
    imported = is_group(hydra, override) or override.key_or_group.startswith("hydra")
    lines = [f"{key}={value}" for value in (values if imported else values[:1])]
    return parse(lines)
