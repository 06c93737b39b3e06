"""Running a command under Hydra: overrides are checked first, errors are one line, sweeps end in a comparison."""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqmodels.commands.launch import is_first, one_folder
from seqmodels.config.compose import check_overrides, config_folder, implied
from seqmodels.config.variables import concealed
from seqmodels.errors import ConfigError, RunFailed
from seqmodels.system.durable import check_writable
from seqmodels.system.streams import discard_output

Work = Callable[[DictConfig], Mapping[str, float]]

PACKAGE = str(Path(__file__).resolve().parents[1])
USER_ERRORS = (ValueError, TypeError, OSError, ImportError)  # where our own lines raise them: files, arguments, extras


def run_app(command: str, work: Work, tokens: list[str]) -> int:
    """Run ``work`` on the configuration ``<command>.yaml`` with the overrides and flags of ``tokens``.

    Returns:
        The exit status: 0, 1 when a job failed, 2 when what the user asked for is wrong.
    """
    args_parser = get_args_parser()
    args_parser.prog = f"seqmodels {command}"
    args = args_parser.parse_args(tokens)
    args.overrides += implied(args.overrides)
    sweep = None
    if not (args.help or args.hydra_help or args.info or args.shell_completion):
        config = check_overrides(command, args)
        if args.cfg is None and (lines := one_folder(config, multirun=args.multirun)):
            args.overrides += lines
            config = check_overrides(command, args)
        sweep = _fix_sweep_folder(config, args) if args.multirun else None
        if args.cfg is None:
            _check_folder(config, sweep)
    try:
        _run_hydra(args, args_parser, _guarded(work), str(config_folder()), command)
    except SystemExit as stop:
        return _status(stop)
    finally:
        if sweep is not None and sweep.is_dir() and is_first():
            from seqmodels.commands.tables import print_comparison  # noqa: PLC0415  (needs rich, a run may not)

            print_comparison(sweep)
    return 0


def check_run(config: DictConfig) -> None:
    """Check that the run whose checkpoint is asked for has a folder, before anything slow is imported.

    Raises:
        ConfigError: it has none.
    """
    if OmegaConf.is_missing(config, "run"):
        raise ConfigError("run must be given: run=...")
    if config.ckpt in ("best", "last") and not Path(str(config.run)).is_dir():
        raise ConfigError(f"run={config.run}: there is no such folder")


def report(error: BaseException) -> int:
    """Print an error: one line when the user can mend it, else its traceback. Return the exit status."""
    told = isinstance(error, RunFailed)
    if told and not full_errors():
        sys.stderr.write(concealed(f"seqmodels: {error}\n"))
        return 1
    if full_errors() or not is_users(error):
        sys.stderr.write(concealed("".join(traceback.format_exception(error))))
        return 1 if not is_users(error) else 2
    sys.stderr.write(concealed(f"seqmodels: {error}\n"))
    return 2


def full_errors() -> bool:
    """Return whether the user asked for tracebacks, as Hydra's users do."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def is_users(error: BaseException) -> bool:
    """Return whether an error is one of ours about what the user gave, and not a fault of the program."""
    if isinstance(error, ConfigError) or type(error).__name__ == "MisconfigurationException":
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, USER_ERRORS) and bool(frames) and frames[-1].filename.startswith(PACKAGE)


def _guarded(work: Work) -> Callable[[DictConfig], float | None]:
    """Wrap the work of a job: a failure goes to the job's log, a sweep goes on, a single run ends with its status."""

    def job(config: DictConfig) -> float | None:
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
            raise CompactHydraException("seqmodels: a job failed; the log in its folder has the traceback") from error
        return metrics.get(config.get("optimized_metric"))

    return job


def log_traceback(error: Exception) -> None:
    """Write the traceback into the job's own log file, not on the console."""
    text = concealed("".join(traceback.format_exception(error)))
    record = logging.LogRecord("seqmodels", logging.ERROR, __file__, 0, text, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _fix_sweep_folder(config: DictConfig, args: argparse.Namespace) -> Path:
    """Settle the folder of a sweep before it starts, so that its results are found whichever launcher runs it."""
    HydraConfig.instance().set_config(config)
    folder = Path(config.hydra.sweep.dir).absolute()
    args.overrides.append(f"hydra.sweep.dir='{folder}'")
    return folder


def _check_folder(config: DictConfig, sweep: Path | None) -> None:
    """Check that the folder of the run can be written: Hydra makes it, and says no more than a traceback."""
    HydraConfig.instance().set_config(config)
    try:
        folder = sweep or Path(config.hydra.run.dir)
        check_writable(folder)
    except OmegaConfBaseException:  # the name needs what Hydra knows only once it runs
        return
    except OSError as error:
        raise ConfigError(f"the folder {folder} for the run cannot be written: {error.strerror}") from error


def _status(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
