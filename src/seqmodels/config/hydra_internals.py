"""All uses of Hydra's private modules in this package; ``hydra.main`` cannot run a composed configuration."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, create_config_search_path, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import configure_log, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict, read_write

from seqmodels.errors import ConfigError, nearest

__all__ = ["Hydra", "create_config_search_path", "flags", "group_options", "job_folders", "parse_flags", "run", "show"]


def run(hydra: Hydra, name: str, config: DictConfig, job: Callable[[DictConfig], Any]) -> Any:
    """Run a job on a composed configuration like ``hydra.main``, with its folder, log and callbacks.

    Args:
        hydra: the Hydra that composed the configuration.
        name: name of the configuration, such as ``"train"``.
        config: the configuration with its node ``hydra``.
        job: called with the configuration without that node.

    Returns:
        The result of the job.
    """
    with read_write(config.hydra):
        config.hydra.mode = RunMode.RUN
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    callbacks = Callbacks(config)
    callbacks.on_run_start(config=config, config_name=name)
    done = run_job(job, config, "hydra.run.dir", None, HydraContext(hydra.config_loader, callbacks))
    callbacks.on_run_end(config=config, config_name=name, job_return=done)
    return done.return_value  # raises the exception of the job, if any


def job_folders(hydra: Hydra, name: str, config: DictConfig, overrides: list[str]) -> list[Path]:
    """Return the folders of the jobs of a multirun by Hydra's own sweeper, without running them; of others, none.

    ``name``, ``config`` and ``overrides`` are those of the multirun.
    """
    if not str(config.hydra.sweeper._target_).endswith(".BasicSweeper"):
        return []
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides([*params, *overrides])
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    before, folders = HydraConfig.instance().cfg, []
    for number, lines in enumerate(jobs):
        job = hydra.compose_config(name, lines, RunMode.MULTIRUN, with_log_configuration=False)
        with read_write(job), open_dict(job):
            job.hydra.job.num = job.hydra.job.id = number
        HydraConfig.instance().set_config(job)
        folders.append(Path(str(job.hydra.sweep.dir), str(job.hydra.sweep.subdir)))
    HydraConfig.instance().cfg = before
    return folders


def group_options(hydra: Hydra, group: str) -> list[str]:
    """Return the options of a group in the folders that ``hydra`` was opened on, or an empty list.

    ``ConfigLoader.get_group_options`` copies its sources and searches them again at every call.
    """
    repository: Any = hydra.config_loader.repository  # type: ignore[attr-defined]
    found: list[str] = repository.get_group_options(group, ObjectType.CONFIG)
    return found


def parse_flags(tokens: list[str]) -> argparse.Namespace:
    """Return Hydra's flags in a command line, in any order, and its ``overrides``.

    Raises:
        ConfigError: a flag does not exist, or its value is wrong.
    """
    parser = _parser("seqmodels")

    def refuse(message: str) -> NoReturn:
        wrong = [word for word in message.split() if word.startswith("-")]
        hint = nearest(wrong[0], flags()) if wrong else ""
        if wrong and not hint and message.startswith("unrecognized"):
            hint = f"; keys have no dashes: {wrong[0].lstrip('-').partition('=')[0]}=VALUE"
        raise ConfigError(f"{message}{hint}")

    parser.error = refuse  # type: ignore[method-assign]
    args = parser.parse_intermixed_args(tokens)
    if args.config_name is not None or args.config_path is not None:
        raise ConfigError(
            "--config-name and --config-path have no meaning here; experiment=NAME chooses a configuration"
        )
    return args


def flags() -> list[str]:
    """Return the flags of every command."""
    return [flag for action in _parser("seqmodels")._actions for flag in action.option_strings]


def _parser(program: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = get_args_parser()
    parser.prog = program
    parser.allow_abbrev = False
    return parser


def show(args: argparse.Namespace, folder: str, name: str) -> None:
    """Handle ``--hydra-help``, ``--info``, ``--cfg`` and ``--shell-completion``.

    Raises:
        SystemExit: with Hydra's status.
    """
    _run_hydra(args, _parser(f"seqmodels {name}"), lambda _: None, folder, name)
