"""Coordination of processes started by torchrun or SLURM, before a run starts.

All processes read the same command line, but at different times: the first one decides on values such as the run
folder, and sends them to the others. Nothing here imports torch for a single process.
"""

import json
import os
import socket
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from omegaconf import DictConfig, read_write

from seqmodels.errors import ConfigError

if TYPE_CHECKING:
    from torch.distributed import TCPStore

Value = TypeVar("Value")
TIMEOUT = 300  # seconds within which all processes must have started


class Launch(NamedTuple):
    """One of several processes that were started from outside."""

    rank: int
    world_size: int
    restart: int  # number of restarts


def launch() -> Launch | None:
    """Return which process this is if torchrun, SLURM or the like has started several, else None."""
    get = os.environ.get
    if "RANK" in os.environ and int(get("WORLD_SIZE", "1")) > 1:
        return Launch(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(get("TORCHELASTIC_RESTART_COUNT", 0)))
    if _under_slurm():
        restart = int(get("SLURM_RESTART_COUNT", 0))
        return Launch(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), restart)
    return None


def from_first_process(name: str, compute: Callable[[], Value]) -> Value:
    """Compute a value in the first process only, and return it in all of them; it must be plain JSON data.

    Raises:
        ConfigError: the first process raised one, or the processes cannot reach each other.
    """
    process = launch()
    if process is None:
        return compute()
    store = _store(process)
    key = f"seqmodels/{name}/{process.restart}"
    if process.rank:
        try:
            message = json.loads(store.get(key))
        except RuntimeError as error:
            raise ConfigError(f"process {process.rank} received nothing from the first one: {error}") from error
        store.add(f"{key}/received", 1)
        if "error" in message:
            raise ConfigError(message["error"])
        value: Value = message["value"]
        return value
    try:
        value = compute()
        store.set(key, json.dumps({"value": value}))
    except ConfigError as error:
        store.set(key, json.dumps({"error": str(error)}))
        raise
    finally:
        _wait_until_received(store, f"{key}/received", process.world_size - 1)
    return value


def share_folder(config: DictConfig, place: Literal["run", "sweep"]) -> None:
    """Make all processes use one folder, and only the first write Hydra's files and a log.

    Raises:
        ConfigError: a run over several hosts has a folder named by the time, and no launcher started its processes, so
            that the hosts cannot agree on one.
    """
    process = launch()
    if process is None:
        _check_hosts(config, place)
        return
    node = config.hydra
    with read_write(node):
        node[place].dir = from_first_process(f"{place}.dir", lambda: os.path.abspath(str(node[place].dir)))  # noqa: PTH100
        if process.rank:
            node.output_subdir = node.job_logging.root = node.hydra_logging.root = None
    _use_own_store()


def _use_own_store() -> None:
    """Make training use its own store in place of that of torchrun's agent.

    The agent's store survives a restart, with the addresses of processes that have ended, which torch 2.13 then reads.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        os.environ["MASTER_PORT"] = str(from_first_process("port", _free_port))
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        port: int = free.getsockname()[1]
        return port


def is_first() -> bool:
    """Return whether this is the only or the first process."""
    process = launch()
    return process is None or process.rank == 0


def _check_hosts(config: DictConfig, place: str) -> None:
    nodes: Any = config.get("trainer", {}).get("num_nodes", 1)
    given = any(line.startswith(f"hydra.{place}.dir=") for line in config.hydra.overrides.hydra)
    if isinstance(nodes, int) and nodes > 1 and not given:
        raise ConfigError(
            f"trainer.num_nodes={nodes}: every host would name its folder by its own clock; "
            f"give all of them the same hydra.{place}.dir=FOLDER, or start them with torchrun or srun"
        )


def _under_slurm() -> bool:
    """Return whether srun has started several tasks, as opposed to an interactive shell or a job of one task."""
    several = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ
    return several and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


@cache  # a second store would find the port taken
def _store(process: Launch) -> "TCPStore":
    """Return the store for messages: that of torchrun, or one of the first process, on the port after training's."""
    from datetime import timedelta  # noqa: PLC0415

    from torch.distributed import TCPStore  # noqa: PLC0415

    torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    host, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500"))
    if "RANK" not in os.environ:
        from lightning.fabric.plugins.environments import SLURMEnvironment  # noqa: PLC0415

        try:
            slurm = SLURMEnvironment()
        except RuntimeError as error:
            raise ConfigError(str(error)) from error
        host, port = slurm.main_address, slurm.main_port
    first = process.rank == 0 and not torchrun
    port += 0 if torchrun else 1
    try:
        return TCPStore(host, port, None, first, timeout=timedelta(seconds=TIMEOUT), wait_for_workers=False)
    except RuntimeError as error:
        raise ConfigError(f"the processes of this run cannot connect at {host}:{port}: {error}") from error


def _wait_until_received(store: "TCPStore", key: str, others: int) -> None:
    """Keep the store open until all others have read from it."""
    import time  # noqa: PLC0415

    until = time.monotonic() + TIMEOUT
    while store.add(key, 0) < others and time.monotonic() < until:
        time.sleep(0.02)
