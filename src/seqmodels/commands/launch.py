"""What the processes of a run must agree on before it starts, where torchrun or SLURM has started them.

Each of them reads the same command line, but at another moment: the first decides which folder is the run's, and tells
the others. Nothing here imports torch unless there are others.
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

Answer = TypeVar("Answer")
PATIENCE = 300  # seconds in which all processes must have started


class Launch(NamedTuple):
    """One of several processes that were started from outside."""

    rank: int
    world_size: int
    restart: int  # how often all were started again


def launch() -> Launch | None:
    """Return which process this is, where torchrun, SLURM or the like has started several."""
    get = os.environ.get
    if "RANK" in os.environ and int(get("WORLD_SIZE", "1")) > 1:
        return Launch(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(get("TORCHELASTIC_RESTART_COUNT", 0)))
    if _under_slurm():
        restart = int(get("SLURM_RESTART_COUNT", 0))
        return Launch(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), restart)
    return None


def from_first_process(question: str, answer: Callable[[], Answer]) -> Answer:
    """Return the answer of the first process, which alone is asked; ``answer`` gives what JSON can hold.

    Raises:
        ConfigError: the first process did, or the processes do not find each other.
    """
    here = launch()
    if here is None:
        return answer()
    store = _store(here)
    key = f"seqmodels/{question}/{here.restart}"
    if here.rank:
        try:
            told = json.loads(store.get(key))
        except RuntimeError as error:
            raise ConfigError(f"process {here.rank} has heard nothing from the first one: {error}") from error
        store.add(f"{key}/heard", 1)
        if "error" in told:
            raise ConfigError(told["error"])
        result: Answer = told["answer"]
        return result
    try:
        result = answer()
        store.set(key, json.dumps({"answer": result}))
    except ConfigError as error:
        store.set(key, json.dumps({"error": str(error)}))
        raise
    finally:
        _wait_until_heard(store, f"{key}/heard", here.world_size - 1)
    return result


def share_folder(config: DictConfig, place: Literal["run", "sweep"]) -> None:
    """Let all processes write one folder, and all but the first neither Hydra's files nor a log.

    Raises:
        ConfigError: the folder of a run over several hosts is named by the time, and nothing has started the processes
            that could tell them of it.
    """
    here = launch()
    if here is None:
        _check_hosts(config, place)
        return
    node = config.hydra
    with read_write(node):
        node[place].dir = from_first_process(f"{place}.dir", lambda: os.path.abspath(str(node[place].dir)))  # noqa: PTH100
        if here.rank:
            node.output_subdir = node.job_logging.root = node.hydra_logging.root = None
    _use_own_store()


def _use_own_store() -> None:
    """Let training meet in a store of its own where torchrun would have it meet in its agent's.

    That one outlives a restart, and with it the addresses of processes that are gone, which torch 2.13 then reads.
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
    """Return whether this process speaks for all."""
    here = launch()
    return here is None or here.rank == 0


def _check_hosts(config: DictConfig, place: str) -> None:
    nodes: Any = config.get("trainer", {}).get("num_nodes", 1)
    given = any(line.startswith(f"hydra.{place}.dir=") for line in config.hydra.overrides.hydra)
    if isinstance(nodes, int) and nodes > 1 and not given:
        raise ConfigError(
            f"trainer.num_nodes={nodes}: every host would name its folder by its own time; "
            f"give all of them the same hydra.{place}.dir=FOLDER, or start them by torchrun or srun"
        )


def _under_slurm() -> bool:
    """Return whether srun has started several tasks; a shell on a node, and a job of one task, are single processes."""
    several = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ
    return several and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


@cache  # a second one would find the first at its port
def _store(here: Launch) -> "TCPStore":
    """Return where the processes meet: the store of torchrun, or one of the first process beside that of training."""
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
    first = here.rank == 0 and not torchrun
    port += 0 if torchrun else 1
    try:
        return TCPStore(host, port, None, first, timeout=timedelta(seconds=PATIENCE), wait_for_workers=False)
    except RuntimeError as error:
        raise ConfigError(f"the processes of this run cannot meet at {host}:{port}: {error}") from error


def _wait_until_heard(store: "TCPStore", key: str, others: int) -> None:
    """Keep the store until all others have read from it."""
    import time  # noqa: PLC0415

    until = time.monotonic() + PATIENCE
    while store.add(key, 0) < others and time.monotonic() < until:
        time.sleep(0.02)
