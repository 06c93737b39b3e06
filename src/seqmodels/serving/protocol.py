"""How uvicorn reads HTTP here: clients that send headers too slowly are cut off, and errors are JSON.

Uvicorn has a timeout for idle connections, but none for the headers of a request. This file is the only one that knows
its ``H11Protocol``.
"""

import asyncio
import json
import uuid

from uvicorn.protocols.http.h11_impl import H11Protocol

from seqmodels.serving.problems import Problem, content


class TimedProtocol(H11Protocol):
    """Closes connections whose client is too slow: with the headers of a request, or with reading its answer."""

    seconds = 10.0
    _headers: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers = self._abort_later()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._busy():
            self._stop()
        elif self._headers is None:  # a part of the headers, or the rest of a body that nobody reads
            self._headers = self._abort_later()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._busy():  # the next request came with the last one
            self._stop()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader = self._abort_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later()  # closing waits for a client that does not read the end of its answer

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self.resume_writing()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        problem = Problem(400, msg)
        body = json.dumps(content(problem, uuid.uuid4().hex)).encode()
        lines = ["HTTP/1.1 400 Bad Request", "content-type: application/json", f"content-length: {len(body)}"]
        self.transport.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        self.transport.close()

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _abort_later(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._headers is not None:
            self._headers.cancel()
            self._headers = None


def timed(seconds: float) -> type[TimedProtocol]:
    """Return the protocol with a time limit in seconds."""
    return type("TimedProtocol", (TimedProtocol,), {"seconds": seconds})
