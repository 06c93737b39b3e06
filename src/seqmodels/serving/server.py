"""An HTTP server for a model, until SIGINT or SIGTERM."""

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from seqmodels.errors import ConfigError
from seqmodels.exporting.model import Model
from seqmodels.serving.app import application
from seqmodels.serving.card import warm_up
from seqmodels.serving.guard import is_local
from seqmodels.serving.limits import Limits
from seqmodels.serving.protocol import timed
from seqmodels.system.threads import cpu_threads, threads_for

TOKEN = 16  # characters that a token has at least
SWITCH = 0.0002  # seconds that HTTP keeps the interpreter from the model, which wants it to start its next product
IDLE = 30  # seconds that a connection is kept open between requests

log = logging.getLogger("seqmodels")


def check_access(host: str, token: Any) -> None:
    """Check that a server that others can reach has a token.

    Raises:
        ConfigError: it has none, or one that is too short or cannot stand in a header.

    Example:
        >>> check_access("0.0.0.0", None)
        Traceback (most recent call last):
        ...
        seqmodels.errors.ConfigError: host=0.0.0.0 can be reached from other machines, which needs a token=
    """
    if token is None:
        if not is_local(host):
            raise ConfigError(f"host={host} can be reached from other machines, which needs a token=")
        return
    if not isinstance(token, str) or len(token) < TOKEN:
        raise ConfigError(f"token must be a text of at least {TOKEN} characters")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError("token must consist of printable ASCII characters without spaces, to stand in a header")


def listen(host: str, port: Any) -> socket.socket:
    """Return a socket that listens at an address; port 0 is a free one.

    Raises:
        ConfigError: the port is no number, or the address cannot be used.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 2**16:
        raise ConfigError(f"port must be 0 to {2**16 - 1}, got {port!r}")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise ConfigError(f"host={host} port={port} cannot be used: {error.strerror}") from error


def serve(
    model: Model,
    listener: socket.socket,
    *,
    limits: Limits,
    token: str | None,
    threads: int | None = None,
    started: Callable[["Server"], object] = lambda _: None,
) -> None:
    """Serve a model until SIGTERM or SIGINT; requests that have begun then are still answered.

    Args:
        model: as :func:`seqmodels.load` returns it.
        listener: where, see :func:`listen`.
        limits: of requests.
        token: that clients must send; None: none is needed.
        threads: on the CPU; None: chosen by the size of the network.
        started: called with the server as soon as it takes requests; setting its ``should_exit`` ends it.
    """
    local = token is None and is_local(listener.getsockname()[0])
    around = partial(cpu_threads, threads_for(threads, model.module, limits.batch_size))
    with around():
        warm_up(model, limits.batch_size)
    config = uvicorn.Config(
        application(model, limits=limits, token=token, local=local, around=around),
        http=timed(limits.upload_seconds),
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=round(limits.seconds) + 5,
    )
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:  # uvloop, where it is installed
            runner.run(Server(config, started).serve(sockets=[listener]))
    finally:
        sys.setswitchinterval(before)


class Server(uvicorn.Server):
    """Reports when it accepts requests, and shuts down gracefully on SIGINT or SIGTERM."""

    def __init__(self, config: uvicorn.Config, started: Callable[["Server"], object]) -> None:
        super().__init__(config)
        self._tell = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the server; uvicorn would raise them again, as if the process had been killed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell(self)
