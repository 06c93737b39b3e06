"""What happens around every request: its id, who may send it, its time limit, how its errors are told, its counting."""

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seqmodels.serving.limits import Limits
from seqmodels.serving.metrics import Metrics
from seqmodels.serving.problems import Problem, response_of

GRACE = 5.0  # seconds beyond the time limit, in which a streamed answer tells that its time is over
OPEN = ("/", "/page.js", "/healthz", "/readyz", "/docs", "/openapi.json")  # they tell nothing about the model
REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}

log = logging.getLogger("seqmodels")


class Guard:
    """Wraps the application of a server.

    Args:
        app: the application; what it raises is answered here.
        limits: of requests.
        token: that clients must send; None: none is needed.
        local: whether requests must name this machine as their host, and may not come from pages of other sites, which
            could reach a local server without a token by its address, or by a name that leads here (DNS rebinding).
        metrics: counts requests.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, token: str | None, local: bool, metrics: Metrics) -> None:
        self.app = app
        self.limits = limits
        self.token = token
        self.local = local
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        scope["app"] = self  # the router then raises what it does not find, which is answered here
        begun, sent = time.perf_counter(), Sent(send, request_id)
        try:
            await self._answered(scope, receive, sent, request_id)
        finally:
            endpoint = getattr(scope.get("route"), "path", "other")
            self.metrics.count(endpoint, sent.status or 499, time.perf_counter() - begun)

    async def _answered(self, scope: Scope, receive: Receive, sent: "Sent", request_id: str) -> None:
        try:
            async with asyncio.timeout(self.limits.seconds + GRACE):
                self._check(scope)
                await self.app(scope, receive, sent)
            return
        except Problem as error:
            problem = error
        except HTTPException as error:
            problem = Problem(error.status_code, f"{scope['method'][:20]} {scope['path'][:100]}: {error.detail}")
        except TimeoutError:
            problem = Problem(503, f"the request took longer than {self.limits.seconds:g} seconds", close=True)
        except ClientDisconnect:  # in the middle of its body
            return
        except Exception:  # a bug of the server: logged with its traceback; the client gets a 500 with the request id
            log.exception("request %s failed: %s %r", request_id, scope["method"], scope["path"])
            problem = Problem(500, "the server failed; its log has the request id", close=True)
        if sent.status is None:
            await response_of(problem, request_id)(scope, receive, sent)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.local and not is_local(host_of(host)):
            raise Problem(421, "this server answers requests for localhost only; it needs a token= to serve others")
        if self.local and origin is not None and origin.partition("://")[2] != host:
            raise Problem(403, "this server answers no pages of other sites; it needs a token= to serve them")
        if self.token is None or scope["path"] in OPEN:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1"), self.token.encode())
        if scheme.lower() != "bearer" or not same:
            raise Problem(401, "the header must have the token of the server: Authorization: Bearer TOKEN")


class Sent:
    """Passes on what an application sends, with the headers that every answer has."""

    def __init__(self, send: Callable[[MutableMapping[str, Any]], Awaitable[None]], request_id: str) -> None:
        self._send = send
        self._id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message["headers"])
            headers["x-request-id"] = self._id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def host_of(header: str) -> str:
    """Return the host of a header without its port.

    Example:
        >>> host_of("localhost:8000"), host_of("[::1]:8000")
        ('localhost', '::1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


@lru_cache(maxsize=64)
def is_local(host: str) -> bool:
    """Return whether a host is this machine as only itself can reach it.

    Example:
        >>> is_local("localhost"), is_local("127.0.0.1"), is_local("0.0.0.0"), is_local("example.org")
        (True, True, False, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
