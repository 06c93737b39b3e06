"""Steps of sessions, batched across them, and their states as text."""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from seqmodels.data import TextPreprocessing
from seqmodels.exporting.model import Model
from seqmodels.exporting.stepping import refuses_steps
from seqmodels.models import LanguageModel
from seqmodels.sequence import leaves, map_leaves
from seqmodels.serving.bodies import named
from seqmodels.serving.limits import Limits
from seqmodels.serving.problems import Problem
from seqmodels.serving.worker import Worker

TURN = 64  # steps of a session before other requests have their turn
TOP = 10  # most probable next tokens that a language model reports


class Stepped(NamedTuple):
    """What a session has after more steps."""

    outputs: list[Any]
    """What the model says after each of the steps."""
    state: Any
    """The state after the last of them."""


class Stepper:
    """Advances sessions; the steps of several are computed as one batch.

    Args:
        model: a trained model.
        worker: runs and batches what is asked of it.
        limits: of requests.
    """

    def __init__(self, model: Model, worker: Worker, limits: Limits) -> None:
        self.model = model
        self.worker = worker
        self.limits = limits
        self.refusal = refuses_steps(model.module)
        self.fingerprint = fingerprint_of(model)
        self._template: Any = None
        if self.refusal is None:
            tokens, size = model.step_inputs()
            self._template = model.step([0] if tokens else [[0.0] * size]).state

    def check(self) -> None:
        """Raise ``Problem`` if the model cannot advance one step at a time (409)."""
        if self.refusal is not None:
            raise Problem(409, f"the model cannot advance one step at a time: {self.refusal}")

    def described(self) -> dict[str, Any]:
        """Return what a step reads: a token below ``size``, or a list of ``size`` numbers."""
        tokens, size = self.model.step_inputs()
        return {"of": "tokens" if tokens else "numbers", "size": size}

    def inputs(self, content: Mapping[str, Any]) -> Tensor:
        """Return the steps in the body of a request: numbers ``(time, channels)``, or tokens ``(time,)``.

        Raises:
            Problem: the model cannot advance step by step (409), or the steps do not fit it (422).
        """
        self.check()
        given = [name for name in ("steps", "text") if name in content]
        if len(given) != 1:
            raise Problem(422, "the body must have steps, a list with one entry for each; or of a language model, text")
        steps = self._of_text(content["text"]) if given == ["text"] else content["steps"]
        if not isinstance(steps, list) or not 1 <= len(steps) <= self.limits.length:
            what = str(len(steps)) if isinstance(steps, list) else named(steps)
            raise Problem(422, f"there must be 1 to {self.limits.length} steps, got {what}")
        tokens, size = self.model.step_inputs()
        for number, step in enumerate(steps, start=1):
            if (wrong := _wrong_token(step, size) if tokens else _wrong_values(step, size)) is not None:
                raise Problem(422, f"step {number}: {wrong}")
        return torch.tensor(steps, dtype=torch.long if tokens else torch.float64)

    def _of_text(self, text: Any) -> list[int]:
        preprocessing = self.model.preprocessing
        if not isinstance(text, str) or not isinstance(preprocessing, TextPreprocessing):
            raise Problem(422, "text must be a text, and the model a language model")
        return preprocessing.tokens(text)

    async def advance(self, state: Any, steps: Tensor) -> Stepped:
        """Read steps, after the state of a session, or from the start for None."""
        outputs: list[Any] = []
        for some in steps.split(TURN):
            found: Stepped = await self.worker.do((state, some), self._advanced, ("step", state is None))
            outputs, state = outputs + found.outputs, found.state
        return Stepped(outputs, state)

    def _advanced(self, sessions: list[tuple[Any, Tensor]]) -> list[Stepped]:
        """Advance several sessions of any numbers of steps, all of them at their start or none."""
        states: list[Any] = [state for state, _ in sessions]
        outputs: list[list[Any]] = [[] for _ in sessions]
        for step in range(max(len(steps) for _, steps in sessions)):
            active = [row for row, (_, steps) in enumerate(sessions) if step < len(steps)]
            together = states[active[0]] if states[active[0]] is None else joined([states[row] for row in active])
            x = torch.stack([sessions[row][1][step] for row in active])
            output, state = self.model.step(x, together)
            said = self._said(output)
            for place, row in enumerate(active):
                outputs[row].append(said[place])
                states[row] = map_leaves(lambda leaf, place=place: leaf[place : place + 1].clone(), state)
        return [Stepped(output, state) for output, state in zip(outputs, states, strict=True)]

    def _said(self, output: Tensor) -> list[Any]:
        """Return what the model says of each session: numbers, or the most probable next tokens of a text."""
        if not isinstance(self.model.module, LanguageModel):
            return output.tolist()
        vocabulary: Any = getattr(self.model.preprocessing, "vocabulary", None)
        values, tokens = output.topk(min(TOP, output.shape[-1]))
        return [
            [
                {"token": token, "text": vocabulary.decode([token]), "probability": math.exp(value)}
                for token, value in zip(row_tokens, row_values, strict=True)
            ]
            for row_tokens, row_values in zip(tokens.tolist(), values.tolist(), strict=True)
        ]

    def saved(self, state: Any, steps: int) -> dict[str, Any]:
        """Return the state of a session as JSON, which :meth:`restored` reads."""
        tensors = {} if state is None else {str(number): leaf for number, leaf in enumerate(leaves(state))}
        data = save({name: leaf.cpu().contiguous() for name, leaf in tensors.items()})
        return {"model": self.fingerprint, "steps": steps, "tensors": base64.b64encode(data).decode()}

    def restored(self, saved: Any) -> tuple[Any, int]:
        """Return the state and the number of steps of a saved session.

        Raises:
            Problem: it is none of this model, or was changed (422).
        """
        if not isinstance(saved, dict) or saved.keys() != {"model", "steps", "tensors"}:
            raise Problem(422, "state must be an object as GET /v1/sessions/{id}/state returns it")
        steps, text = saved["steps"], saved["tensors"]
        if saved["model"] != self.fingerprint:
            raise Problem(422, "state is that of another model")
        if type(steps) is not int or steps < 0 or not isinstance(text, str):
            raise Problem(422, "state must have a number of steps and a text with its tensors")
        try:
            tensors = load(base64.b64decode(text, validate=True))
        except (ValueError, SafetensorError, KeyError) as error:  # KeyError: a type of numbers that torch lacks
            raise Problem(422, f"state cannot be read: {error}") from error
        if not tensors and steps == 0:
            return None, 0
        return self._fitting(tensors), steps

    def _fitting(self, tensors: Mapping[str, Tensor]) -> Any:
        expected = leaves(self._template)
        names = [str(number) for number in range(len(expected))]
        if tensors.keys() != set(names) or not all(map(_fits, (tensors[name] for name in names), expected)):
            raise Problem(422, "state has other tensors than those of the model, or values that are not finite")
        replacements = (tensors[name] for name in names)
        return map_leaves(lambda like: next(replacements).to(like.device), self._template)


def _fits(leaf: Tensor, like: Tensor) -> bool:
    return leaf.shape == like.shape and leaf.dtype == like.dtype and bool(leaf.isfinite().all())


def joined(states: Sequence[Any]) -> Any:
    """Return the states of several sessions as one batch.

    Example:
        >>> joined([(torch.zeros(1, 3),), (torch.ones(1, 3),)])[0].shape
        torch.Size([2, 3])
    """
    return map_leaves(lambda *each: torch.cat(each), *states)


def fingerprint_of(model: Model) -> str:
    """Return a text that tells models with other weights or another structure apart."""
    digest = hashlib.sha256()
    for name, value in model.module.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _wrong_token(step: Any, size: int) -> str | None:
    valid = type(step) is int and 0 <= step < size
    return None if valid else f"must be a token, 0 to {size - 1}, got {named(step) if type(step) is not int else step}"


def _wrong_values(step: Any, size: int) -> str | None:
    if not isinstance(step, list) or len(step) != size or not all(type(value) in (int, float) for value in step):
        what = f"a list of {len(step)}" if isinstance(step, list) else named(step)
        return f"must be a list of {size} numbers, got {what}"
    return None
