"""Run a command under Hydra: check overrides first, print errors in one line, end sweeps with a comparison."""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqmodels.commands.launch import from_first_process, is_first, launch, share_folder
from seqmodels.commands.refused import JobRefused, no_folder_if_refused
from seqmodels.config.compose import check_single, compose, composed, implied, without_null
from seqmodels.config.files import config_folder
from seqmodels.config.help.printing import help_text
from seqmodels.config.hydra_internals import Hydra, job_folders, parse_flags, run, show
from seqmodels.config.quoting import literal_values, quoted
from seqmodels.config.run_name import check_run_name
from seqmodels.config.trust import trusted
from seqmodels.config.variables import concealed, track_environment
from seqmodels.errors import ConfigError, RunFailed
from seqmodels.system.durable import check_writable
from seqmodels.system.streams import discard_output
from seqmodels.training.finding import run_folder
from seqmodels.training.runs import check_no_run

Work = Callable[[DictConfig], Mapping[str, float]]

HELP = {"-h", "--help"}
PACKAGE = str(Path(__file__).resolve().parents[1])
USER_ERRORS = (ValueError, TypeError, OSError, ImportError)  # if raised in our own code: files, arguments, extras


def run_app(command: str, work: Work, tokens: list[str], prepare: Callable[[list[str]], list[str]] = list) -> int:
    """Run ``work`` on the configuration ``<command>.yaml`` with the overrides and flags of ``tokens``.

    Args:
        command: name of the configuration.
        work: called with the configuration, returns metrics.
        tokens: the command line as typed.
        prepare: returns the tokens to run, which may include some from a file; only typed ones are trusted.

    Returns:
        The exit status: 0 on success, 1 if a job failed, 2 if the command line is wrong.
    """
    tokens = [without_null(token) for token in literal_values(tokens)]
    if HELP & set(tokens):
        sys.stdout.write(help_text(command, tokens))
        return 0
    with trusted(tokens):
        return _run(command, work, prepare(tokens))


def _run(command: str, work: Work, tokens: list[str]) -> int:
    args = parse_flags(tokens)
    overrides = args.overrides = [*args.overrides, *implied(args.overrides)]
    if args.cfg is not None:
        compose(command, overrides, args.config_dir)  # reports typos as in a run
    if args.cfg is not None or args.hydra_help or args.info or args.shell_completion:
        return _show_info(args, command)
    try:
        with composed(command, overrides, args.config_dir) as (hydra, config):
            HydraConfig.instance().set_config(config)
            if args.multirun or config.hydra.mode == RunMode.MULTIRUN:
                _sweep(hydra, command, config, work, overrides)
            else:
                check_single(overrides)
                if command == "train":
                    check_run_name(config)
                share_folder(config, "run")
                _check_folder(config.hydra.run)
                if command == "train" and config.resume is None:
                    _check_no_run(lambda: [Path(config.hydra.run.dir)])
                with no_folder_if_refused(config, "run"):
                    run(hydra, command, config, _job(work))
    except SystemExit as stop:
        return _status(stop)
    except CompactHydraException as error:
        if full_errors():
            raise
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _sweep(hydra: Hydra, command: str, config: DictConfig, work: Work, overrides: list[str]) -> None:
    """Run every job of a sweep, which Hydra composes one by one, and compare them at the end."""
    share_folder(config, "sweep")
    folder = Path(config.hydra.sweep.dir).absolute()  # absolute, so that every launcher finds it
    _check_folder(config.hydra.sweep)
    lines = [f"hydra.sweep.dir={quoted(str(folder))}", "hydra.mode=MULTIRUN"]
    if command == "train" and folder.is_dir():
        _check_no_run(lambda: job_folders(hydra, command, config, [*overrides, lines[0]]))
    if not is_first():
        lines += ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
    try:
        with no_folder_if_refused(config, "sweep"):
            hydra.multirun(command, _job(work), [*overrides, *lines])
    except JobRefused as error:
        if folder.exists():
            raise
        raise ConfigError("no job could start, for the reasons above; nothing was written") from error
    finally:
        if folder.is_dir() and is_first():
            from seqmodels.commands.runs.comparison import print_comparison  # noqa: PLC0415  (imports rich, which a run does not need)

            print_comparison(folder)


def check_run(config: DictConfig) -> None:
    """Check that ``run=`` is given and names a run, before any slow import.

    Raises:
        ConfigError: it is missing, or there is no such run.
    """
    if OmegaConf.is_missing(config, "run"):
        raise ConfigError("run must be given: run=...")
    if config.ckpt in (None, "best", "last"):
        run_folder(str(config.run))


def report(error: BaseException) -> int:
    """Print an error, in one line if the user can fix it, else with its traceback. Return the exit status."""
    if isinstance(error, RunFailed) and not full_errors():
        sys.stderr.write(concealed(f"seqmodels: {error}\n"))
        return 1
    if full_errors() or not is_user_error(error):
        sys.stderr.write(concealed("".join(traceback.format_exception(error))))
        return 1 if not is_user_error(error) else 2
    sys.stderr.write(concealed(f"seqmodels: {error}\n"))
    return 2


def full_errors() -> bool:
    """Return whether tracebacks are enabled, by Hydra's environment variable."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def is_user_error(error: BaseException) -> bool:
    """Return whether this package raised an error about user input, as opposed to a bug."""
    if isinstance(error, ConfigError) or type(error).__name__ == "MisconfigurationException":
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, USER_ERRORS) and bool(frames) and frames[-1].filename.startswith(PACKAGE)


def _job(work: Work) -> Callable[[DictConfig], float | None]:
    """Wrap the work of a job: a failure is logged, then a sweep continues and a single run ends with its status."""

    def job(config: DictConfig) -> float | None:
        track_environment()  # in a process of a launcher, too
        try:
            metrics = work(config)
        except BrokenPipeError as error:
            discard_output()
            raise SystemExit(0) from error
        except Exception as error:
            log_traceback(error)
            if HydraConfig.get().mode != RunMode.MULTIRUN:
                raise SystemExit(report(error)) from error
            sys.stderr.write(concealed(f"seqmodels: this job failed: {error}\n"))
            ended = JobRefused if is_user_error(error) else CompactHydraException
            raise ended("seqmodels: a job failed; the log in its folder has the traceback") from error
        return metrics.get(config.get("optimized_metric"))

    return job


def log_traceback(error: Exception) -> None:
    """Write the traceback to the job's log file, not to the console."""
    text = concealed("".join(traceback.format_exception(error)))
    record = logging.LogRecord("seqmodels", logging.ERROR, __file__, 0, text, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _check_folder(place: DictConfig) -> None:
    """Check that the folder of a run or sweep is writable: Hydra, which creates it, would end with a traceback."""
    try:
        check_writable(folder := Path(place.dir))
    except OmegaConfBaseException:  # the name depends on values that Hydra sets only at run time
        return
    except OSError as error:
        raise ConfigError(f"the folder {folder} for the run cannot be written: {error.strerror}") from error


def _check_no_run(folders: Callable[[], Sequence[Path]]) -> None:
    """Check before Hydra writes into them that folders hold no other run; a restarted process finds its own."""
    if (process := launch()) is not None and process.restart:
        return

    def check() -> None:
        try:
            check_no_run(folders())
        except OmegaConfBaseException:  # a name depends on values that Hydra sets only at run time
            return

    from_first_process("folders", check)


def _show_info(args: argparse.Namespace, command: str) -> int:
    """Handle flags that only print information."""
    try:
        show(args, str(config_folder()), command)
    except SystemExit as stop:
        return _status(stop)
    return 0


def _status(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
