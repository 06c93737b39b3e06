"""Training by several processes: those of this machine are started here, and a lost one ends the run with its name.

Lightning starts the others by the command line of the first. That would run a whole sweep in each of them, and a folder
named by the time would be another one; here each is given the configuration of the one run that it takes part in.
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
LOST = ("gloo", "connection closed by peer", "connection reset", "timed out", "timeout", "nccl", "socket")
SILENT = ("timed out waiting", "application timeout", "operation timeout", "wait timeout")
GRACE = 5.0  # seconds in which the first process should notice by itself that another one has ended
READY = "SEQMODELS_READY"  # the descriptor to which a started process writes once it is there
GO_ON = "resume= goes on from what was last saved"
POLL = 0.2  # seconds between two looks at the others


def ddp(
    *, timeout: float = 1800.0, find_unused_parameters: bool = False, process_group_backend: str | None = None
) -> DDPStrategy:
    """Return the strategy of data parallel processes: each computes on rows of its own, gradients are averaged.

    Args:
        timeout: seconds after which a process that does not answer ends the run.
        find_unused_parameters: needed where a step leaves out parameters that another step has.
        process_group_backend: ``gloo`` or ``nccl``; by the device where None.
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
    """Let the processes of a run be started by what stands within, and end with it.

    ``config`` is the resolved configuration of the run, which each of them does ``work`` with. Where they are started
    from outside, by torchrun or SLURM, nothing is started here.

    Raises:
        ProcessLost: one of them has ended, or does not answer.
    """
    theirs = trainer.strategy.launcher
    if not isinstance(theirs, _SubprocessScriptLauncher):
        yield
        return
    launcher = Ranks(theirs, work, config, timeout_of(trainer))
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
            if distributed.is_initialized():  # another run of this process has others to meet
                distributed.destroy_process_group()
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({} if value is None else {name: value})


def timeout_of(trainer: Trainer) -> float | None:
    """Return after how many seconds a process that does not answer ends the run, where the strategy has that."""
    timeout = getattr(trainer.strategy, "_timeout", None)
    return None if timeout is None else timeout.total_seconds()


class Ranks(_SubprocessScriptLauncher):
    """Starts the other processes of this machine, each with the configuration of the run, and looks after them."""

    def __init__(
        self, like: _SubprocessScriptLauncher, work: Work, config: Mapping[str, Any], timeout: float | None
    ) -> None:
        super().__init__(like.cluster_environment, like.num_processes, like.num_nodes)
        self.order = json.dumps({"work": work, "config": config}).encode() + b"\n"
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
        """End those that still run: the first process is through, or has failed."""
        self._ended.set()
        for process in self.procs:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        self.procs = []

    def _start(self) -> None:
        environment = self.cluster_environment
        meeting = {
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
                env={**os.environ, **meeting, "LOCAL_RANK": str(rank), READY: str(writing)},
                stdin=subprocess.PIPE,
                pass_fds=[writing],
            )
            self.procs.append(process)
            assert process.stdin is not None
            process.stdin.write(self.order)  # it stays open: where this process is gone, the other sees its end
            process.stdin.flush()
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as ready:  # how long they take to start is not what timeout is about
            said = sum(len(ready.read(1)) for _ in self.procs)
        if said < len(self.procs):
            raise ProcessLost(self._lost() or self._silent())
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """End this process, which may wait for another one that is gone and never hear of it."""
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
        """Say which process has ended, if one has within some seconds, and how."""
        until = time.monotonic() + patience
        while True:
            for rank, process in enumerate(self.procs, start=1):
                if status := process.poll():
                    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                    return f"process {rank} of {self.num_processes} {how}, and the run with it; {GO_ON}"
            if time.monotonic() >= until:
                return None
            time.sleep(POLL)

    def _unknown(self, error: Exception) -> str:
        if any(words in str(error).lower() for words in SILENT):
            return self._silent()
        return f"another process of the run has ended, or cannot be reached ({_first_line(error)}); {GO_ON}"

    def _silent(self) -> str:
        return f"a process of the run has not answered for {self.timeout:g} s (trainer.strategy.timeout); {GO_ON}"


def _report_ready() -> None:
    """Tell the process that has started this one that it is there."""
    if descriptor := os.environ.pop(READY, None):
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))


def _is_peer_error(error: Exception) -> bool:
    """Return whether an error comes from talking to the other processes; most back-ends have no class for it."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in LOST)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
