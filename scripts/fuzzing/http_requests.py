"""Requests that no client would send, for a server that must answer each without failing."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzzing.mutation import mutated

PATHS = ("/v1/predict", "/v1/generate", "/v1/sessions", "/v1/sessions/SESSION/step", "/v1/sessions/SESSION/state")
OTHERS = ("/", "/docs", "/metrics", "/v1/model", "/v1/sessions/SESSION", "/v1/%00", "/v1/../..", "/healthz?x=%ff", "*")
METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "post", "CONNECT")
KEYS = ("inputs", "rows", "options", "prompt", "length", "temperature", "top_k", "top_p", "seed", "stream", "state",
        "steps", "text", "beam", "n_best", "max_length", "probabilities", "length_penalty")  # fmt: skip
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e-320, 3e38, 2**62, 2**31, "", "fine", "x" * 300, "\0", "\u202e"),
    *(
        [],
        {},
        [[]],
        [[0.0, 1.0]],
        [["a"]],
        [[1e38, -1e38]],
        {"text": "fine"},
        {"text": None},
        {"text": ["a"]},
        [1, 2, 3],
    ),
    *({"file": "/etc/passwd"}, {"model": "x", "steps": 1, "tensors": "AAAA"}, [[[1.0]]], [None], "1,2", "\n"),
)
TYPES = ("application/json", "text/plain", "audio/wav", "application/octet-stream", "Application/JSON; charset=x", "")


def requests(number: int, seed: int, valid: list[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield requests: made up, changed from ``valid`` paths and bodies, or changed as bytes of HTTP."""
    random = Random(seed)
    for _ in range(number):
        kind = random.random()
        path, body = random.choice(valid)
        if kind < 0.3:
            path, body = random.choice(PATHS), json.dumps(made_up(random)).encode()
        elif kind < 0.6:
            body = json.dumps(changed(json.loads(body), random)).encode()
        else:
            body = mutated(body, random, [key.encode() for key in KEYS])
        method = "POST" if random.random() < 0.9 else random.choice(METHODS)
        path = path if random.random() < 0.95 else random.choice(OTHERS)
        content_type = TYPES[0] if random.random() < 0.85 else random.choice(TYPES)
        request = written(method, path, content_type, body)
        yield mutated(request, random) if kind > 0.9 else request


def made_up(random: Random, depth: int = 0) -> Any:
    """Return JSON of known keys and values of any kind."""
    if depth == 0 and random.random() < 0.95:
        return {random.choice(KEYS): made_up(random, 1) for _ in range(random.randint(0, 4))}
    if depth > 3 or random.random() < 0.6:
        return random.choice(VALUES)
    if random.random() < 0.5:
        return [made_up(random, depth + 1) for _ in range(random.randint(0, 4))]
    return {random.choice(KEYS): made_up(random, depth + 1) for _ in range(random.randint(0, 3))}


def changed(content: Any, random: Random) -> Any:
    """Return JSON with some of its texts and numbers changed, which mostly leaves a request that can be read."""
    if isinstance(content, dict):
        return {key: changed(value, random) for key, value in content.items()}
    if isinstance(content, list):
        return [changed(value, random) for value in content] * random.choice((1, 1, 1, 2))
    if random.random() < 0.2:
        return random.choice(VALUES)
    if isinstance(content, str) and random.random() < 0.7:
        return mutated(content.encode(), random).decode("utf-8", "replace")
    return content


def written(method: str, path: str, content_type: str, body: bytes) -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def answers(port: int, contents: Iterator[bytes], clients: int) -> tuple[Counter[str], list[bytes]]:
    """Send requests; return how often each status came, and the requests with which the server failed."""
    counts: Counter[str] = Counter()
    failed: list[bytes] = []

    async def client() -> None:
        for content in contents:
            status = await _status(port, content)
            counts[status] += 1
            if status.startswith("5"):
                failed.append(content)

    await asyncio.gather(*(client() for _ in range(clients)))
    return counts, failed


async def _status(port: int, content: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(content)
        answer = await asyncio.wait_for(reader.readexactly(len(b"HTTP/1.1 200")), 60)  # the connection may stay open
    except (ConnectionError, OSError, asyncio.IncompleteReadError):
        return "closed"
    finally:
        writer.close()
    return answer[9:].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "closed"
