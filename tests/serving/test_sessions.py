"""Sessions: they say what the model says step by step, keep apart, can be saved, and expire."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

import seqmodels
from seqmodels.exporting import Model
from seqmodels.serving.problems import Problem
from seqmodels.serving.sessions import Sessions
from tests.conftest import TOLERANCE
from tests.exporting.saved import language_modeling, regression, texts
from tests.serving.running import Client, running

SESSIONS = "/v1/sessions"
approx = {"rel": TOLERANCE[torch.float32]["rtol"], "abs": TOLERANCE[torch.float32]["atol"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A regression of two channels, which reads steps forward."""
    return seqmodels.load(regression(tmp_path_factory.mktemp("regression")).run)


@pytest.fixture(scope="module")
def client(model: Model) -> Iterator[Client]:
    with running(model, sessions=40, length=150) as client:
        yield client


def opened(client: Client, body: Any = None) -> str:
    """Open a session and return its path."""
    reply = client("POST", SESSIONS, body)
    assert reply.status == 201, reply
    return f"{SESSIONS}/{reply.body['session']}"


def steps_of(number: int, seed: int) -> list[list[float]]:
    return torch.randn(number, 2, generator=torch.Generator().manual_seed(seed)).double().tolist()


def outputs_of(model: Model, steps: list[list[float]]) -> list[list[float]]:
    """Return what the model says after each step."""
    state, outputs = None, []
    for step in steps:
        output, state = model.step(torch.tensor([step], dtype=torch.float64), state)
        outputs.append(output[0].tolist())
    return outputs


def flat(outputs: list[list[float]]) -> list[float]:
    return [value for output in outputs for value in output]


def test_steps_of_many_sessions_at_once_are_those_of_each_alone(model: Model, client: Client) -> None:
    sequences = [steps_of(3 + 20 * (number % 5), number) for number in range(17)]
    paths = [opened(client) for _ in sequences]

    def advance(path: str, steps: list[list[float]]) -> list[list[float]]:
        found: list[list[float]] = []
        for some in (steps[:2], steps[2:]):
            reply = client("POST", f"{path}/step", {"steps": some})
            assert reply.status == 200, reply
            found += reply.body["outputs"]
        return found

    with ThreadPoolExecutor(len(paths)) as pool:
        found = list(pool.map(advance, paths, sequences))
    for path, steps, outputs in zip(paths, sequences, found, strict=True):
        assert flat(outputs) == pytest.approx(flat(outputs_of(model, steps)), **approx)
        read = client("GET", path).body
        assert read["steps"] == len(steps)
        assert read["output"] == outputs[-1]
        assert client("DELETE", path).status == 204
        assert client("GET", path).status == 404


def test_requests_for_one_session_follow_each_other(client: Client) -> None:
    path = opened(client)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda seed: client("POST", f"{path}/step", {"steps": steps_of(5, seed)}), range(8)))
    assert sorted(reply.body["steps"] for reply in replies) == list(range(5, 41, 5))
    client("DELETE", path)


def test_a_saved_session_goes_on_as_if_it_had_never_ended(model: Model, client: Client) -> None:
    steps = steps_of(9, 3)
    for cut in (0, 4):
        first = opened(client)
        if cut:
            client("POST", f"{first}/step", {"steps": steps[:cut]})
        saved = client("GET", f"{first}/state").body
        client("DELETE", first)
        second = opened(client, saved)
        found = client("POST", f"{second}/step", {"steps": steps[cut:]}).body
        assert found["steps"] == 9
        assert flat(found["outputs"]) == pytest.approx(flat(outputs_of(model, steps)[cut:]), **approx)
        client("DELETE", second)


def test_a_state_that_was_changed_is_refused(client: Client) -> None:
    path = opened(client)
    client("POST", f"{path}/step", {"steps": steps_of(2, 1)})
    state = client("GET", f"{path}/state").body["state"]
    client("DELETE", path)
    tensors = load(base64.b64decode(state["tensors"]))

    def packed(changed: dict[str, torch.Tensor]) -> dict[str, Any]:
        return {**state, "tensors": base64.b64encode(save(changed)).decode()}

    (name,) = tensors
    header = json.dumps({name: {"dtype": "F8_E8M0", "shape": [2], "data_offsets": [0, 2]}}).encode()
    unknown = len(header).to_bytes(8, "little") + header + bytes(2)  # numbers of a type that torch may lack
    wrong = [
        {**state, "model": "0" * 32},
        {**state, "tensors": "!"},
        {**state, "tensors": base64.b64encode(bytes(50)).decode()},
        {**state, "steps": -1},
        {**state, "more": 1},
        packed({}),
        packed({name: tensors[name].repeat(2, 1)}),
        packed({name: tensors[name].double()}),
        {**state, "tensors": base64.b64encode(unknown).decode()},
        packed({name: tensors[name] * float("nan")}),
        packed({**tensors, "1": tensors[name].clone()}),
        [],
    ]
    for changed in wrong:
        assert client("POST", SESSIONS, {"state": changed}).status == 422, json.dumps(changed)[:80]
    assert client("POST", SESSIONS, {"state": state}).status == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "must have steps"),
        ({"steps": []}, "1 to 150 steps, got 0"),
        ({"steps": [[0.0, 1.0]] * 151}, "got 151"),
        ({"steps": [[1.0, 2.0], [1.0]]}, "step 2: must be a list of 2 numbers, got a list of 1"),
        ({"steps": [["a", 1]]}, "step 1"),
        ({"steps": [[True, 1]]}, "step 1"),
        ({"steps": "ab"}, "got a string"),
        ({"text": "fine"}, "language model"),
        ({"step": [[1, 2]]}, "did you mean 'steps'?"),
    ],
    ids=str,
)
def test_steps_that_do_not_fit_are_named_and_change_nothing(body: Any, message: str, client: Client) -> None:
    path = opened(client)
    reply = client("POST", f"{path}/step", body)
    assert reply.status == 422
    assert message in reply.body["error"]["message"]
    assert client("GET", path).body["steps"] == 0
    client("DELETE", path)


def test_a_language_model_reads_a_text_or_tokens_and_names_the_next(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = seqmodels.load(language_modeling(tmp_path_factory.mktemp("texts")).run)
    tokens = model.preprocessing.tokens("fine")  # type: ignore[attr-defined]
    with running(model) as client:
        one, other = opened(client), opened(client)
        said = client("POST", f"{one}/step", {"text": "fine"}).body["outputs"]
        assert client("POST", f"{other}/step", {"steps": tokens}).body["outputs"] == said
        state = None
        for token in tokens:
            output, state = model.step([token], state)
        best = said[-1][0]
        assert best["token"] == int(output.argmax())
        assert best["probability"] == pytest.approx(float(output.max().exp()), **approx)
        for wrong in ([999], [-1], [1.5], [[1]]):
            assert client("POST", f"{one}/step", {"steps": wrong}).status == 422


def test_a_model_that_needs_the_end_of_its_input_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = seqmodels.load(texts(tmp_path_factory.mktemp("texts")).run)
    with running(model) as client:
        about = client("GET", "/v1/model").body
        assert about["steps"] is None
        refused = client("POST", SESSIONS)
        assert refused.status == 409
        assert about["no_steps_because"] in refused.body["error"]["message"]


def test_sessions_that_are_not_used_expire_and_no_more_than_the_limit_are_open() -> None:
    clock = [0.0]
    sessions = Sessions(most=2, idle=10, now=lambda: clock[0])
    one, other = sessions.create(), sessions.create()
    assert one.name != other.name
    with pytest.raises(Problem, match="2 sessions are open") as full:
        sessions.create()
    assert full.value.status == 429
    clock[0] = 6
    sessions.get(one.name)
    clock[0] = 12
    assert len(sessions) == 1
    with pytest.raises(Problem, match="expired") as gone:
        sessions.get(other.name)
    assert gone.value.status == 404
    assert sessions.left(one) == 4
