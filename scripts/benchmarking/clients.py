"""Clients of a server that ask as fast as they are answered, and some that misbehave meanwhile."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Question(NamedTuple):
    """A request, and whether an answer is the right one."""

    body: bytes
    right: Callable[[Any], bool]


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
    jobs = [_client(port, until, questions, numbers, tally) for _ in range(clients)]
    await asyncio.gather(*jobs, _misbehave(port, until, questions, tally))
    return tally


async def _client(port: int, until: float, questions: Sequence[Question], numbers: Any, tally: Tally) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        number = next(numbers)
        question = questions[number % len(questions)]
        begun = time.perf_counter()
        status, headers, body = await exchange(connection, post("/v1/predict", question.body, f"id-{number}"))
        tally.seconds.append(time.perf_counter() - begun)
        mine = headers.get("x-request-id") == f"id-{number}"
        if status != 200 or not mine or not question.right(json.loads(body)):
            tally.wrong.append(f"{status} {body[:200]!r}")
    connection[1].close()


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
