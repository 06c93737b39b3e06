"""Errors of requests, which clients get as JSON."""

from http import HTTPStatus

from starlette.responses import JSONResponse, Response


class Problem(Exception):  # noqa: N818  (an answer to the client rather than a failure of the server)
    """A request cannot be answered; the client gets the status and the message.

    Args:
        status: of HTTP, 400 or above.
        message: what is wrong and what would be right.
        close: whether the connection ends with the answer, because the rest of the request was not read.
    """

    def __init__(self, status: int, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.close = close


def response_of(problem: Problem, request_id: str) -> Response:
    """Return the answer to a request that failed.

    Example:
        >>> response_of(Problem(404, "there is no session 'x'"), "id-1").body
        b'{"error":{"status":404,"reason":"Not Found","message":"there is no session \\'x\\'","request_id":"id-1"}}'
    """
    headers = {"www-authenticate": "Bearer"} if problem.status == HTTPStatus.UNAUTHORIZED else {}
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    if problem.close:
        headers["connection"] = "close"
    return JSONResponse(content(problem, request_id), problem.status, headers)


def content(problem: Problem, request_id: str) -> dict[str, object]:
    """Return the JSON body of the answer to a request that failed."""
    details = {
        "status": problem.status,
        "reason": HTTPStatus(problem.status).phrase,
        "message": problem.message,
        "request_id": request_id,
    }
    return {"error": details}
