"""How uvicorn reads HTTP here: clients that are too slow or send too much are cut off, and errors are JSON.

Uvicorn has a timeout for idle connections, but none for the headers of a request, and no limit for their size. This
file is the only one that knows its ``HttpToolsProtocol``.
"""

import asyncio
import json
import uuid

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seqmodels.serving.problems import Problem, content

HEADER_BYTES = 32_768  # of the line and the headers of a request, of the trailers of a body, and of any part of these
WAITING = 16  # requests that a connection may send before it has read an answer


class TimedProtocol(HttpToolsProtocol):
    """Closes connections whose client is too slow, with the headers of a request or with reading its answer.

    What it holds of a connection is bounded: the size of headers, and the requests that come before their turn.
    """

    seconds = 10.0
    _headers: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None
    _bytes = 0  # of the headers that are complete
    _held = 0  # bytes that came since the parser last reported something: those of one header, or of what it skips

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers = self._abort_later()

    def data_received(self, data: bytes) -> None:
        self._held += len(data)
        super().data_received(data)
        if self._held > HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response(f"a header must have at most {HEADER_BYTES} bytes")
        if self._busy():
            self._stop()
        elif self._headers is None:  # a part of the headers, or the rest of a body that nobody reads
            self._headers = self._abort_later()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._bytes = self._held = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)  # a colon, a space and the end of the line

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= WAITING:
            raise ValueError("too many requests in one connection")  # which the parser reports as bytes that are wrong
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._held = 0

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
        if not self._busy() or not self.cycle.response_started:  # else it would stand in the middle of an answer
            body = json.dumps(content(Problem(400, msg), uuid.uuid4().hex)).encode()
            lines = ["HTTP/1.1 400 Bad Request", "content-type: application/json", f"content-length: {len(body)}"]
            self.transport.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._held = 0
        self._bytes += size
        if self._bytes > HEADER_BYTES:
            raise ValueError("the headers are too large")

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
