"""``seqmodels sweep``: hyperparameter search, with each trial an ordinary run."""

import logging
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from omegaconf import DictConfig, OmegaConf

from seqmodels.commands.app import log_traceback, run_app
from seqmodels.commands.sweeps.sweep_report import needs_optuna, report
from seqmodels.config.compose import compose, composed, parse
from seqmodels.config.hydra_internals import run
from seqmodels.config.quoting import quoted
from seqmodels.errors import ConfigError

if TYPE_CHECKING:
    from seqmodels.sweeping.watch import Watch

log = logging.getLogger(__name__)


def main(tokens: list[str]) -> int:
    """Run the search of the configuration node ``sweep``; the exit status is 1 if trials have failed."""
    if {"-m", "--multirun"} & set(tokens):
        raise ConfigError("a sweep starts its own runs: seqmodels sweep has no --multirun (seqmodels train has)")
    return run_app("sweep", _sweep, tokens)


def _sweep(config: DictConfig) -> Mapping[str, float]:
    with needs_optuna():
        from seqmodels.sweeping.driver import Sweep, check_settings  # noqa: PLC0415
        from seqmodels.sweeping.study import load_sweep, quiet_optuna  # noqa: PLC0415
    from seqmodels.config.build import check, plain  # noqa: PLC0415
    from seqmodels.config.signatures import checked_seed  # noqa: PLC0415

    settings = plain(config.sweep)
    check(settings, "sweep")
    check_settings(settings)
    overrides = _common_overrides()
    fixed = {override.key_or_group for override in parse(overrides)}  # keys set by the user are not varied
    if set_by_user := sorted(fixed & set(settings["space"])):
        log.info("not searched, since the command line sets them: %s", ", ".join(set_by_user))
    settings["space"] = {key: rule for key, rule in settings["space"].items() if key not in fixed}
    trials = _Trials()
    trials.check([*settings["overrides"], *overrides], settings["space"])
    folder = Path(HydraConfig.get().runtime.output_dir)
    sweep = Sweep(folder, settings, overrides, trials.config_dir, checked_seed(config.seed), trials.train)
    with _sigterm_as_interrupt():
        sweep.run()
    with quiet_optuna():
        study = load_sweep(folder, settings["storage"])
        status = report(folder, *study)
    if status:
        raise SystemExit(status)
    return {}


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, which puts the trial back into the queue, but with the exit status of SIGTERM.

    Lightning's own handler would end the training after the current step, and the trial would count as complete.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt as error:
        if received:
            raise SystemExit(128 + received[0]) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _common_overrides() -> list[str]:
    """Return the overrides of the command line for every trial: all but the sweep's own keys, and the search path."""
    given: Any = OmegaConf.to_container(HydraConfig.get().overrides, resolve=False)  # as typed
    task = [line for line in given["task"] if not line.lstrip("+~").startswith(("sweep=", "sweep.", "sweep/"))]
    return [*task, *(line for line in given["hydra"] if line.startswith("hydra.searchpath="))]


class _Trials:
    """Compose and train the trials of a sweep, one after another in this process."""

    def __init__(self) -> None:
        sources = HydraConfig.get().runtime.config_sources
        paths = [source.path for source in sources if source.provider == "command-line"]
        self.config_dir: str | None = paths[0] if paths else None

    def check(self, overrides: list[str], space: Mapping[str, Any]) -> None:
        """Compose every choice and both ends of every range once, so that no trial can fail because of a typo.

        Raises:
            ConfigError: a key or value of the space is invalid.
        """
        from seqmodels.sweeping.space import Space  # noqa: PLC0415
        from seqmodels.training.fit import check_config  # noqa: PLC0415

        checked = Space(space)
        for point in checked.points():
            lines = checked.overrides(point)
            try:
                config = compose("train", [*overrides, *lines, "paths.output_dir=."], self.config_dir)
                with _hydra_of(config):
                    check_config(config)
            except ConfigError as error:
                raise ConfigError(f"sweep.space ({' '.join(lines)}): {error}") from error
            if config.trainer.devices != 1 or config.trainer.num_nodes != 1:
                raise ConfigError(
                    "a sweep trains each trial in one process, but trainer.devices or trainer.num_nodes is not 1; "
                    "several processes share a sweep by the same command with the same sweep.dir"
                )

    def train(self, overrides: list[str], folder: Path, watch: "Watch") -> Mapping[str, float]:
        """Train one trial in its own folder, as ``seqmodels train`` would."""
        from seqmodels.sweeping.watch import WatchValidation  # noqa: PLC0415
        from seqmodels.training.fit import train  # noqa: PLC0415

        def job(config: DictConfig) -> Mapping[str, float] | Exception:
            for handler in logging.getLogger().handlers:
                if type(handler) is logging.StreamHandler:  # the console; train.log has all lines
                    handler.setLevel(logging.WARNING)
            try:
                return train(config, WatchValidation(watch))
            except Exception as error:
                log_traceback(error)
                return error  # if raised, Hydra would print the overrides of the trial

        lines = [*overrides, f"hydra.run.dir={quoted(str(folder))}"]
        command = ["train", *(["--config-dir", self.config_dir] if self.config_dir else []), *lines]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "command.sh").write_text(shlex.join(["seqmodels", *command]) + "\n", encoding="utf-8")
        with _command_line(command), composed("train", lines, self.config_dir) as (hydra, config):
            result: Mapping[str, float] | Exception = run(hydra, "train", config, job)
        if isinstance(result, Exception):
            raise result
        return result


@contextmanager
def _hydra_of(config: DictConfig) -> Iterator[None]:
    """Make interpolations use the node ``hydra`` of this configuration."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


@contextmanager
def _command_line(command: list[str]) -> Iterator[None]:
    """Set ``sys.argv`` to the command of a single trial; restore it and the log of the sweep afterwards."""
    before = sys.argv
    sys.argv = [before[0], *command]
    try:
        yield
    finally:
        sys.argv = before
        hydra: Any = HydraConfig.get()
        configure_log(hydra.job_logging, hydra.verbose)
