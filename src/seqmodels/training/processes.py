"""Training with several processes: start those of this machine, and end the run with a clear error if one is lost.

Lightning starts the other processes with the command line of the first. Each would then run a whole sweep, and a run
folder named by the time would differ between them; here each receives the configuration of the one run it is part of.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import distributed

from seqmodels.errors import ProcessLost

Work = Literal["train", "evaluate"]
RENDEZVOUS_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "RANK")
PEER_ERROR_WORDS = ("gloo", "connection closed by peer", "connection reset", "timed out", "timeout", "nccl", "socket")
TIMEOUT_WORDS = ("timed out waiting", "application timeout", "operation timeout", "wait timeout")
GRACE = 5.0  # seconds for the first process to notice by itself that another one has ended
READY = "SEQMODELS_READY"  # the file descriptor to which a process writes once it has started
RESUME_HINT = "resume= continues from the last save"
POLL = 0.2  # seconds between checks of the other processes


def ddp(
    *, timeout: float = 1800.0, find_unused_parameters: bool = False, process_group_backend: str | None = None
) -> DDPStrategy:
    """Return the strategy for data-parallel training: each process computes on its own rows, gradients are averaged.

    Args:
        timeout: seconds without an answer from a process after which the run ends.
        find_unused_parameters: needed if some steps do not use all parameters.
        process_group_backend: ``gloo`` or ``nccl``; None chooses by device.

    Returns:
        The strategy, for ``lightning.pytorch.Trainer(strategy=...)``.

    Raises:
        ValueError: ``timeout`` is not positive.

    Example:
        >>> ddp(timeout=600.0, process_group_backend="gloo").process_group_backend
        'gloo'
    """
    if not timeout > 0:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
    return DDPStrategy(
        timeout=timedelta(seconds=timeout),
        find_unused_parameters=find_unused_parameters,
        process_group_backend=process_group_backend,
    )


@contextmanager
def processes(trainer: Trainer, work: Work, config: Mapping[str, Any]) -> Iterator[None]:
    """Start the other processes of a run when the trainer runs inside this context, and end them with it.

    Each process does ``work`` with ``config``, the resolved configuration of the run. If processes are started from
    outside, by torchrun or SLURM, none are started here.

    Raises:
        ProcessLost: a process has ended, or does not answer.
    """
    default = trainer.strategy.launcher
    if not isinstance(default, _SubprocessScriptLauncher):
        yield
        return
    launcher = RankLauncher(default, work, config, timeout_of(trainer))
    trainer.strategy._launcher = launcher
    before, threads = {name: os.environ.get(name) for name in RENDEZVOUS_VARIABLES}, torch.get_num_threads()
    external = launcher.cluster_environment.creates_processes_externally
    if not external and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // launcher.num_processes))
    try:
        yield
        launcher.finish()
    finally:
        launcher.end()
        torch.set_num_threads(threads)
        if not external:
            if distributed.is_initialized():  # another run of this process needs its own process group
                distributed.destroy_process_group()
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({} if value is None else {name: value})


def timeout_of(trainer: Trainer) -> float | None:
    """Return the strategy's timeout in seconds for a process that does not answer, or None."""
    timeout = getattr(trainer.strategy, "_timeout", None)
    return None if timeout is None else timeout.total_seconds()


class RankLauncher(_SubprocessScriptLauncher):
    """Start the other processes of this machine, each with the configuration of the run, and monitor them."""

    def __init__(
        self, like: _SubprocessScriptLauncher, work: Work, config: Mapping[str, Any], timeout: float | None
    ) -> None:
        super().__init__(like.cluster_environment, like.num_processes, like.num_nodes)
        self.job = json.dumps({"work": work, "config": config}).encode() + b"\n"
        self.timeout = timeout
        self._ended = threading.Event()

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Trainer | None = None, **kwargs: Any) -> Any:  # noqa: ARG002
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally and not self.procs:
            self._start()
        _report_ready()
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if not _is_peer_error(error):
                raise
            raise ProcessLost(self._lost() or self._unknown(error)) from error

    def finish(self) -> None:
        """Wait until the others have ended as well."""
        try:
            for process in self.procs:
                process.wait(self.timeout)
        except subprocess.TimeoutExpired as error:
            raise ProcessLost(self._silent()) from error
        if lost := self._lost(0.0):
            raise ProcessLost(lost)

    def end(self) -> None:
        """Kill those that still run: the first process has finished or failed."""
        self._ended.set()
        for process in self.procs:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        self.procs = []

    def _start(self) -> None:
        environment = self.cluster_environment
        rendezvous = {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads())),
        }
        reading, writing = os.pipe()
        for rank in range(1, self.num_processes):
            process = subprocess.Popen(
                [sys.executable, "-m", "seqmodels.commands.rank"],
                env={**os.environ, **rendezvous, "LOCAL_RANK": str(rank), READY: str(writing)},
                stdin=subprocess.PIPE,
                pass_fds=[writing],
            )
            self.procs.append(process)
            assert process.stdin is not None
            process.stdin.write(self.job)  # left open: the other process sees it close if this one ends
            process.stdin.flush()
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as ready:  # timeout does not include the time they take to start
            started = sum(len(ready.read(1)) for _ in self.procs)
        if started < len(self.procs):
            raise ProcessLost(self._lost() or self._silent())
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """End this process if another one has ended: it might wait for that one forever."""
        while not any(process.poll() for process in self.procs):
            if self._ended.wait(POLL):
                return
        lost = self._lost(0.0)
        if not self._ended.wait(GRACE):
            os.write(2, f"seqmodels: {lost}\n".encode())
            for process in self.procs:
                process.kill()
            os._exit(1)

    def _lost(self, patience: float = 2.0) -> str | None:
        """Return a message on which process has ended and how, or None if none has within ``patience`` seconds."""
        until = time.monotonic() + patience
        while True:
            for rank, process in enumerate(self.procs, start=1):
                if status := process.poll():
                    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                    return f"process {rank} of {self.num_processes} {how}, and the run with it; {RESUME_HINT}"
            if time.monotonic() >= until:
                return None
            time.sleep(POLL)

    def _unknown(self, error: Exception) -> str:
        if any(words in str(error).lower() for words in TIMEOUT_WORDS):
            return self._silent()
        return f"another process of the run has ended, or cannot be reached ({_first_line(error)}); {RESUME_HINT}"

    def _silent(self) -> str:
        return f"a process of the run has not answered for {self.timeout:g} s (trainer.strategy.timeout); {RESUME_HINT}"


def _report_ready() -> None:
    """Notify the process that started this one that it is ready."""
    if descriptor := os.environ.pop(READY, None):
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))


def _is_peer_error(error: Exception) -> bool:
    """Return whether an error comes from communication between processes; most back-ends have no class for it."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in PEER_ERROR_WORDS)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
