"""Clients of a server that ask as fast as they are answered, and some that misbehave meanwhile."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Question:
    """A request, and whether an answer is the right one."""

    body: bytes
    right: Callable[[Any], bool]
    known: set[bytes] = field(default_factory=set)
    """Answers that were found to be right: the clients share the cores with the server, so they parse each once."""

    def answered_by(self, body: bytes) -> bool:
        """Return whether the body of an answer is right."""
        if body not in self.known and self.right(json.loads(body)):
            self.known.add(body)
        return body in self.known


@dataclass
class Tally:
    """What clients found."""

    seconds: list[float] = field(default_factory=list)
    """Of each answer."""
    wrong: list[str] = field(default_factory=list)
    """Answers that were not the right ones."""
    disturbed: dict[str, int] = field(default_factory=dict)
    """How often clients misbehaved in each way."""


async def ask(port: int, clients: int, seconds: float, questions: Sequence[Question]) -> Tally:
    """Return what several clients found, which asked for some seconds."""
    tally, numbers, until = Tally(), itertools.count(), time.monotonic() + seconds
    loop = asyncio.get_running_loop()

    async def client() -> None:
        asking = _Client(questions, numbers, until, tally, loop.create_future())
        await loop.create_connection(lambda: asking, "127.0.0.1", port)
        await asking.ended

    await asyncio.gather(*(client() for _ in range(clients)), _misbehave(port, until, questions, tally))
    return tally


class _Client(asyncio.Protocol):
    """Asks one question after the other in one connection, each as soon as the last one is answered.

    Without the streams of asyncio, which take as much of the processor for a request as the server.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        numbers: Iterator[int],
        until: float,
        tally: Tally,
        ended: "asyncio.Future[None]",
    ) -> None:
        self.questions, self.numbers, self.until, self.tally, self.ended = questions, numbers, until, tally, ended
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.number = next(self.numbers)
        self.question = self.questions[self.number % len(self.questions)]
        self.begun = time.perf_counter()
        self.transport.write(post("/v1/predict", self.question.body, f"id-{self.number}"))

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        head = head.lower()
        if len(body) < int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]):
            return
        self.received = b""
        self.tally.seconds.append(time.perf_counter() - self.begun)
        mine = f"\r\nx-request-id: id-{self.number}\r\n".encode() in head + b"\r\n"
        if not (head.startswith(b"http/1.1 200") and mine and self.question.answered_by(body)):
            self.tally.wrong.append(f"{head[:40]!r} {body[:200]!r}")
        if time.monotonic() < self.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.monotonic() < self.until:
            self.tally.wrong.append(f"the server closed a connection: {exc}")
        self.ended.set_result(None)


async def _misbehave(port: int, until: float, questions: Sequence[Question], tally: Tally) -> None:
    """Disconnect in the middle, send too much and nonsense, let sessions be, all the while."""
    random, whole = Random(1), questions[0].body
    while time.monotonic() < until:
        for name, content, expected in (
            ("killed while asking", post("/v1/predict", whole)[:-5], None),
            ("killed before its answer", post("/v1/predict", whole), None),
            ("oversized", post("/v1/predict", b" " * 5_000_000), 413),
            ("malformed", post("/v1/predict", b'{"inputs": ' + bytes(random.randbytes(9))), 400),
            ("session left alone", post("/v1/sessions", b""), None),
            ("unknown session", post("/v1/sessions/gone/step", b'{"steps": [[0]]}'), 404),
        ):
            connection = await asyncio.open_connection("127.0.0.1", port)
            if expected is None:
                connection[1].write(content)
            elif (status := (await exchange(connection, content))[0]) != expected:
                tally.wrong.append(f"{name}: {status} instead of {expected}")
            connection[1].close()
            tally.disturbed[name] = tally.disturbed.get(name, 0) + 1
        await asyncio.sleep(0.2)


def post(path: str, body: bytes, request_id: str = "other") -> bytes:
    """Return a request with JSON."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"X-Request-ID: {request_id}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def exchange(connection: Connection, content: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send a request and return status, headers and body of its answer."""
    reader, writer = connection
    writer.write(content)
    await writer.drain()
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        return int(status.split()[1]), headers, await reader.readuntil(b"0\r\n\r\n")
    return int(status.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))
