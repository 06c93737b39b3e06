"""A server in a thread of the test, and a client."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import uvicorn

from seqmodels.exporting import Model
from seqmodels.serving import Limits, listen, serve


class Reply(NamedTuple):
    """An answer of the server."""

    status: int
    body: Any  # parsed, if it is JSON
    headers: dict[str, str]


@dataclass
class Client:
    """Sends requests, each in a connection of its own."""

    port: int
    server: uvicorn.Server
    token: str | None = None

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, token: str | None = ""
    ) -> Reply:
        """Send a request; a body that is neither bytes nor None is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        token = self.token if token == "" else token
        if token is not None:
            given.setdefault("Authorization", f"Bearer {token}")
        try:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            content, kind = response.read(), response.headers.get("content-type", "")
            parsed = json.loads(content) if kind == "application/json" else content
            return Reply(response.status, parsed, {name.lower(): value for name, value in response.headers.items()})
        finally:
            connection.close()

    def predict(self, *inputs: Any) -> Any:
        """Return the predictions for inputs."""
        reply = self("POST", "/v1/predict", {"inputs": list(inputs)})
        assert reply.status == 200, reply
        return reply.body["predictions"]

    def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        lines = self("GET", "/metrics").body.decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.split()[0] == name))


@contextmanager
def running(model: Model, *, token: str | None = None, **limits: Any) -> Iterator[Client]:
    """Serve a model within a block."""
    with listen("127.0.0.1", 0) as listener:
        up, found = threading.Event(), []

        def started(server: uvicorn.Server) -> None:
            found.append(server)
            up.set()

        options = {"limits": Limits(**limits), "token": token, "threads": 1, "started": started}
        thread = threading.Thread(target=serve, args=(model, listener), kwargs=options)
        thread.start()
        assert up.wait(60)
        client = Client(listener.getsockname()[1], found[0], token)
        try:
            yield client
        finally:
            client.server.should_exit = True
            thread.join(60)
        assert not thread.is_alive()
