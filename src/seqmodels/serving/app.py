"""The application of a server: a model, what runs it, and the endpoints."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from seqmodels.exporting.model import Model
from seqmodels.serving import openapi
from seqmodels.serving.endpoints import Endpoints
from seqmodels.serving.guard import Guard
from seqmodels.serving.limits import Limits
from seqmodels.serving.metrics import Metrics
from seqmodels.serving.service import Service
from seqmodels.serving.sessions import Sessions
from seqmodels.serving.stepping import Stepper
from seqmodels.serving.worker import Worker

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the pages may load: nothing from elsewhere."""


def application(
    model: Model,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    local: bool = True,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Guard:
    """Return a model as an application of ASGI, which any server of that standard runs.

    Args:
        model: as :func:`seqmodels.load` returns it.
        limits: of requests.
        token: that clients must send; None: none is needed.
        local: whether only requests for this machine are answered, see :class:`~seqmodels.serving.guard.Guard`.
        around: makes a context that the thread of the model runs in.

    Raises:
        ConfigError: the data set of the model has no way to read new data.
    """
    limits, metrics = limits or Limits(), Metrics()
    model.preprocessing  # noqa: B018  (raises if there is none)
    worker = Worker(
        batch_size=limits.batch_size,
        window=limits.batch_window / 1000,
        waiting=limits.waiting,
        around=around,
        observe=metrics.batches.observe,
    )
    sessions = Sessions(most=limits.sessions, idle=limits.idle_seconds)
    metrics.gauge("sessions", "Sessions that are open", lambda: len(sessions))
    metrics.gauge("waiting", "Inputs that wait for the model", worker.queued)
    endpoints = Endpoints(Service(model, worker, limits), Stepper(model, worker, limits), sessions, metrics, limits)
    inner = Router(routes=[*endpoints.routes(), *pages()], lifespan=_running(worker), redirect_slashes=False)
    return Guard(inner, limits=limits, token=token, local=local, metrics=metrics)


def pages() -> list[Route]:
    """Return the routes of the pages for people: one to try the model, and the description of the endpoints."""
    folder = files("seqmodels.serving") / "page"
    found = {name: (folder / name).read_text("utf-8") for name in ("index.html", "page.js")}

    async def index(_: Request) -> Response:
        return HTMLResponse(found["index.html"], headers={"content-security-policy": POLICY})

    async def script(_: Request) -> Response:
        return Response(found["page.js"], media_type="text/javascript")

    async def docs(_: Request) -> Response:
        return HTMLResponse(openapi.page(), headers={"content-security-policy": POLICY})

    async def document(_: Request) -> Response:
        return JSONResponse(openapi.document())

    return [
        Route("/", index),
        Route("/page.js", script),
        Route("/docs", docs),
        Route("/openapi.json", document),
    ]


def _running(worker: Worker) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    return lifespan
