"""Bodies of requests: read within limits of size and time, and JSON that is safe to hand on."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from seqmodels.errors import nearest
from seqmodels.serving.limits import Limits
from seqmodels.serving.problems import Problem

DEPTH = 8  # of nested lists and objects: an image has 3, a record in a list of inputs with an image 5
LARGEST = 3e38  # float32 holds no larger number
LARGEST_INTEGER = 2**63 - 1
LONG = 50_000  # bytes of JSON that take some milliseconds, in which others are answered
PATIENCE = 8  # times the size limit that is read and dropped, so that the client reads why its request is refused


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: it is larger than ``limits.body_bytes`` (413), or does not arrive in time (408).
    """
    received, size = bytearray(), 0
    too_large = Problem(413, f"the body must have at most {limits.body_bytes} bytes", close=True)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > PATIENCE * limits.body_bytes:
        raise too_large
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for piece in request.stream():
                size += len(piece)
                if size > PATIENCE * limits.body_bytes:
                    break
                if size <= limits.body_bytes:
                    received += piece
    except TimeoutError:
        message = f"the body did not arrive within {limits.upload_seconds:g} seconds"
        raise Problem(408, message, close=True) from None
    if size > limits.body_bytes:
        raise too_large
    return bytes(received)


async def read_object(request: Request, limits: Limits, known: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object in the body of a request; an empty body is an empty object.

    Raises:
        Problem: as :func:`read_body`; or the body is no JSON object (400), is not declared as JSON (415), or has an
            unknown key (422).
    """
    body = await read_body(request, limits)
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, f"the content type must be application/json, got {kind or 'none'}")
    content = parsed(body) if len(body) < LONG else await asyncio.to_thread(parsed, body)
    if not isinstance(content, dict):
        raise Problem(400, f"the body must be a JSON object, got {named(content)}")
    check_keys(content, known, "the body")
    return content


def check_keys(content: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    """Raise ``Problem`` if an object has an unknown key (422)."""
    for key in content:
        if key not in known:
            short = key[:60]
            raise Problem(422, f"{place} has no key {short!r}{nearest(short, known)} (there are: {', '.join(known)})")


def parsed(body: bytes) -> Any:
    """Return the content of a JSON text: finite numbers, texts that UTF-8 can write, not nested too deeply.

    Raises:
        Problem: it is not JSON, or has something else (400).

    Example:
        >>> parsed(b'{"inputs": [1e999]}')
        Traceback (most recent call last):
        ...
        seqmodels.serving.problems.Problem: the body has a number that is not finite or too large
    """
    try:
        content = _DECODER.decode(body.decode("utf-8"))
    except RecursionError:
        raise Problem(400, "the body is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise Problem(400, f"the body is not UTF-8: byte {error.start}") from None
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    _check(content)
    return content


def named(value: Any) -> str:
    """Return the kind of a value as JSON calls it.

    Example:
        >>> named(None), named(True), named([1])
        ('null', 'a boolean', 'a list')
    """
    kinds = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def _not_finite(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_not_finite)


def _check(content: Any) -> None:
    """Check what a parser lets through, without recursion."""
    level, depth = [content], 0
    while level:
        depth += 1
        if depth > DEPTH + 1:
            raise Problem(400, f"the body must nest at most {DEPTH} lists and objects")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _check_text(value)
            elif isinstance(value, float):
                if not math.isfinite(value) or abs(value) > LARGEST:
                    raise Problem(400, "the body has a number that is not finite or too large")
            elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
                raise Problem(400, "the body has a whole number of more than 64 bits")
        level = below


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem(400, "the body has a text with half of a surrogate pair") from None
