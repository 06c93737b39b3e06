"""The endpoints of a server; ``openapi`` describes them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from seqmodels.serving.bodies import check_keys, named, read_body, read_object
from seqmodels.serving.card import model_card
from seqmodels.serving.limits import Limits
from seqmodels.serving.metrics import Metrics
from seqmodels.serving.problems import Problem, content
from seqmodels.serving.reading import INPUTS, Inputs, inputs_of
from seqmodels.serving.service import GENERATE_OPTIONS, PREDICT_OPTIONS, Service
from seqmodels.serving.sessions import Session, Sessions
from seqmodels.serving.stepping import Stepper
from seqmodels.system.json_text import json_text
from seqmodels.tasks.predictors.texts import TextPredictor

SOUND = ("audio/", "application/octet-stream")  # content types of recordings


class Endpoints:
    """Answers requests; each method is one endpoint.

    Args:
        service: predictions and texts.
        stepper: steps of sessions.
        sessions: those that are open.
        metrics: what the server counts.
        limits: of requests.
    """

    def __init__(
        self, service: Service, stepper: Stepper, sessions: Sessions, metrics: Metrics, limits: Limits
    ) -> None:
        self.service = service
        self.stepper = stepper
        self.sessions = sessions
        self.metrics = metrics
        self.limits = limits

    def routes(self) -> list[Route]:
        """Return the path, method and function of each endpoint."""
        session = "/v1/sessions/{session}"
        return [
            Route("/v1/predict", self.predict, methods=["POST"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.all_metrics, methods=["GET"]),
            Route("/v1/model", self.model, methods=["GET"]),
            Route("/v1/generate", self.generate, methods=["POST"]),
            Route("/v1/sessions", self.create, methods=["POST"]),
            Route(session, self.read, methods=["GET"]),
            Route(session, self.delete, methods=["DELETE"]),
            Route(f"{session}/step", self.step, methods=["POST"]),
            Route(f"{session}/state", self.save, methods=["GET"]),
        ]

    async def health(self, _: Request) -> Response:
        """Tell that the process answers."""
        return answer({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Tell whether the model takes requests."""
        if not self.service.worker.alive:
            raise Problem(503, "the server is shutting down")
        return answer({"status": "ready"})

    async def all_metrics(self, _: Request) -> Response:
        """Return the metrics for Prometheus."""
        return self.metrics.response()

    async def model(self, _: Request) -> Response:
        """Describe the model and the limits of the server."""
        return answer(model_card(self.service.model, self.stepper, self.limits))

    async def predict(self, request: Request) -> Response:
        """Predict for inputs in JSON, or for a recording."""
        if request.headers.get("content-type", "").lower().startswith(SOUND):
            options: Mapping[str, Any] = {}
            inputs = Inputs(recording=await read_body(request, self.limits))
        else:
            body = await read_object(request, self.limits, (*INPUTS, "options"))
            options = body.get("options", {})
            if not isinstance(options, dict):
                raise Problem(422, f"options must be an object, got {named(options)}")
            check_keys(options, PREDICT_OPTIONS, "options")
            inputs = inputs_of(body, self.limits)
        return answer({"predictions": await self._in_time(self.service.predict(inputs, options))})

    async def generate(self, request: Request) -> Response:
        """Write a text after a prompt, or for it; with ``stream``, as server-sent events."""
        body = await read_object(request, self.limits, ("prompt", "stream", *GENERATE_OPTIONS))
        stream, prompt = body.pop("stream", False), body.pop("prompt", "")
        if not isinstance(stream, bool):
            raise Problem(422, f"stream must be true or false, got {named(stream)}")
        until = asyncio.get_running_loop().time() + self.limits.seconds
        if isinstance(self.service.model.predictor, TextPredictor):
            found = await self._in_time(self.service.outputs(prompt, body))
            if not stream:
                return answer(found)
            if len(found["candidates"]) > 1:
                raise Problem(422, "only one output can be streamed: leave stream out, or n_best and samples")
            pieces = one(found["text"])
        else:
            pieces = await self._in_time(self.service.generate(prompt, body))
            if not stream:
                return answer({"text": await self._in_time(whole(pieces))})
        return StreamingResponse(self._events(pieces, until, request.state.request_id), media_type="text/event-stream")

    async def _events(self, pieces: AsyncIterator[str], until: float, request_id: str) -> AsyncIterator[str]:
        """Yield the events of a text: its pieces, and at the end ``end``, or ``error`` if its time is over."""
        try:
            async with asyncio.timeout_at(until):
                async for piece in pieces:
                    yield event("text", {"text": piece})
        except TimeoutError:
            problem = Problem(503, f"the text took longer than {self.limits.seconds:g} seconds")
            yield event("error", content(problem, request_id))
        except Problem as problem:
            yield event("error", content(problem, request_id))
        else:
            yield event("end", {})

    async def create(self, request: Request) -> Response:
        """Open a session, at its start or where a saved one was."""
        body = await read_object(request, self.limits, ("state",))
        self.stepper.check()
        state, steps = self.stepper.restored(body["state"]) if "state" in body else (None, 0)
        return answer(self._described(self.sessions.create(state, steps)), 201)

    async def read(self, request: Request) -> Response:
        """Describe a session."""
        return answer(self._described(self._session(request)))

    async def step(self, request: Request) -> Response:
        """Advance a session by one or more steps."""
        session = self._session(request)
        steps = self.stepper.inputs(await read_object(request, self.limits, ("steps", "text")))
        return answer(await self._in_time(self._advanced(session, steps)))

    async def _advanced(self, session: Session, steps: Any) -> dict[str, Any]:
        async with session.lock:
            self.sessions.get(session.name)  # it may have been deleted meanwhile
            found = await self.stepper.advance(session.state, steps)
            session.state, session.output = found.state, found.outputs[-1]
            session.steps += len(steps)
        return {**self._described(session), "outputs": found.outputs}

    async def save(self, request: Request) -> Response:
        """Return the state of a session, from which a later one can go on."""
        session = self._session(request)
        return answer({"state": self.stepper.saved(session.state, session.steps)})

    async def delete(self, request: Request) -> Response:
        """Close a session."""
        self.sessions.delete(request.path_params["session"])
        return Response(status_code=204)

    def _session(self, request: Request) -> Session:
        return self.sessions.get(request.path_params["session"])

    def _described(self, session: Session) -> dict[str, Any]:
        left = round(self.sessions.left(session), 1)
        return {"session": session.name, "steps": session.steps, "expires_in": left, "output": session.output}

    async def _in_time(self, work: Any) -> Any:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await work
        except TimeoutError:
            raise Problem(503, f"the request took longer than {self.limits.seconds:g} seconds") from None


async def one(text: str) -> AsyncIterator[str]:
    """Yield a text as its only piece."""
    yield text


async def whole(pieces: AsyncIterator[str]) -> str:
    """Return all pieces of a text as one."""
    return "".join([piece async for piece in pieces])


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return an answer in JSON; numbers that are not finite are null."""
    return Response(json_text(body), status, media_type="application/json")


def event(name: str, data: Mapping[str, Any]) -> str:
    """Return a server-sent event.

    Example:
        >>> event("text", {"text": "two\\nlines"})
        'event: text\\ndata: {"text": "two\\\\nlines"}\\n\\n'
    """
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
