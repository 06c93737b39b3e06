"""What a server predicts and writes: the same as the model in Python, for any number of clients at once."""

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

import seqmodels
from seqmodels.backends import unrolling
from seqmodels.exporting.model import configured_writer
from seqmodels.serving.card import warm_up
from seqmodels.serving.service import batches_of
from seqmodels.system.json_text import json_text
from tests.conftest import TOLERANCE
from tests.exporting.saved import KINDS, Saved, saved, texts, write
from tests.serving.running import Client, Reply, running
from tests.sounds import RATE, tone, wav_bytes

CLIENTS = 32
approx = {"rel": TOLERANCE[torch.float32]["rtol"], "abs": TOLERANCE[torch.float32]["atol"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    return cache(lambda kind: KINDS[kind](tmp_path_factory.mktemp(kind)))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return texts(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def writer(made: Callable[[str], Saved]) -> Iterator[tuple[seqmodels.exporting.Model, Client]]:
    model = seqmodels.load(made("language_modeling").run)
    with running(model) as client:
        yield model, client


@pytest.fixture(scope="module")
def pairs(made: Callable[[str], Saved]) -> Iterator[Client]:
    with running(seqmodels.load(made("seq2seq").run)) as client:
        yield client


def as_json(predictions: list[Any]) -> Any:
    """Return predictions of the Python interface as they are in JSON."""
    return json.loads(json_text([prediction._asdict() for prediction in predictions]))


def events_of(reply: Reply) -> list[tuple[str, Any]]:
    """Return the names and data of server-sent events."""
    blocks = [block.split("\n") for block in reply.body.decode().strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def assert_close(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
        return
    assert found == (pytest.approx(expected, **approx) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ctc"])
def test_a_server_predicts_what_the_model_predicts_in_python(kind: str, made: Callable[[str], Saved]) -> None:
    one = made(kind)
    model = seqmodels.load(one.run)
    values = [value.tolist() if isinstance(value, torch.Tensor) else value for value in one.values]
    with running(model) as client:
        assert_close(client.predict(*values), as_json(model.predict(values)))


def test_a_recording_is_uploaded_or_sent_as_samples_and_never_read_from_a_path(made: Callable[[str], Saved]) -> None:
    one = made("ctc")
    model = seqmodels.load(one.run)
    path = Path(one.values[0])
    with running(model, audio_seconds=1) as client:
        found = client("POST", "/v1/predict", path.read_bytes(), {"Content-Type": "audio/wav"})
        assert_close(found.body["predictions"], as_json(model.predict([str(path)])))
        samples = tone(500, 0.2).tolist()
        assert_close(client.predict(samples), as_json(model.predict([samples])))
        for inputs in ({"inputs": [str(path)]}, {"inputs": [{"file": str(path)}]}, {"rows": [{"file": str(path)}]}):
            refused = client("POST", "/v1/predict", inputs)
            assert refused.status == 422
            assert f"samples at {RATE} Hz" in refused.body["error"]["message"]
        for sound in (wav_bytes(tone(500, 1.5)), wav_bytes(tone(500, 0.2), rate=10), b"RIFF", b"", bytes(99)):
            refused = client("POST", "/v1/predict", sound, {"Content-Type": "audio/wav"})
            assert refused.status == 422, len(sound)
            assert " object at 0x" not in refused.body["error"]["message"]
        dense = io.BytesIO()
        soundfile.write(dense, torch.zeros(1000, 8).numpy(), 96_000, format="FLAC")
        refused = client("POST", "/v1/predict", dense.getvalue(), {"Content-Type": "audio/flac"})
        assert refused.status == 422
        assert "in 8 channels" in refused.body["error"]["message"]


def test_the_rows_of_a_table_are_forecast_by_group(made: Callable[[str], Saved]) -> None:
    one = made("forecasting")
    model = seqmodels.load(one.run)
    names, *lines = [line.split(",") for line in one.file.read_text("utf-8").splitlines()]
    rows = [dict(zip(names, line, strict=True)) for line in lines]
    with running(model) as client:
        found = client("POST", "/v1/predict", {"rows": rows}).body["predictions"]
    assert_close(found, as_json(model.predict(str(one.file))))
    assert [forecast["group"]["shop"] for forecast in found] == ["anna", "ben"]


def test_many_clients_at_once_each_get_their_own_answer_from_shared_batches(classifier: Saved) -> None:
    model = seqmodels.load(classifier.run)
    inputs = [[text] * (1 + number % 3) for number in range(4) for text in classifier.values]
    expected = [as_json(model.predict(texts)) for texts in inputs]
    with running(model, batch_window=20) as client, ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [pool.submit(client.predict, *texts) for texts in inputs * 3]
        for job, answer in zip(jobs, expected * 3, strict=True):
            assert_close(job.result(), answer)
        assert client.metric("seqmodels_batch_requests_sum") == len(jobs)
        assert client.metric("seqmodels_batch_requests_count") < len(jobs) / 2
        assert client.metric('seqmodels_requests_total{endpoint="/v1/predict",status="200"}') == len(jobs)


def test_an_input_that_cannot_be_read_fails_alone(classifier: Saved) -> None:
    with running(seqmodels.load(classifier.run), batch_window=50) as client, ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(client, "POST", "/v1/predict", {"inputs": [text]}) for text in ["fine film", {"other": 1}] * 4
        ]
        assert [job.result().status for job in jobs] == [200, 422] * 4
        assert "item 1" in jobs[1].result().body["error"]["message"]


def test_a_text_is_the_one_that_the_model_writes_in_python_whole_or_in_events(writer: Any) -> None:
    model, client = writer
    options = {"length": 17, "seed": 5, "temperature": 0.7}
    expected = "".join(model.stream("fine", **options))
    reply = client("POST", "/v1/generate", {"prompt": "fine", **options})
    assert reply.body == {"text": expected}
    refused = client("POST", "/v1/generate", {"prompt": "fine", "samples": 2})
    assert (refused.status, "another seed" in refused.body["error"]["message"]) == (422, True)
    streamed = client("POST", "/v1/generate", {"prompt": "fine", "stream": True, **options})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *pieces, end = events_of(streamed)
    assert {name for name, _ in pieces} == {"text"}
    assert end == ("end", {})
    assert "".join(data["text"] for _, data in pieces) == expected


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam": 3, "n_best": 2, "length_penalty": 0.5, "max_length": 4},
        {"temperature": 0.9, "samples": 4, "seed": 7},
        {"top_k": 2, "max_length": 3},
    ],
    ids=lambda options: ",".join(options) or "none",
)
def test_a_model_of_pairs_searches_or_draws_as_generate_does(
    options: dict[str, Any], made: Callable[[str], Saved]
) -> None:
    one = made("seq2seq")
    model = seqmodels.load(one.run)
    expected = seqmodels.load(one.run)
    expected.predictor = configured_writer(expected.predictor, options)  # type: ignore[arg-type]
    (wanted,) = as_json(expected.predict(one.values[:1]))
    body = {"prompt": one.values[0], **options}
    with running(model, batch_window=20) as client, ThreadPoolExecutor(4) as pool:
        for reply in pool.map(lambda _: client("POST", "/v1/generate", body), range(4)):  # alone or in a shared batch
            assert_close(reply.body, wanted)
        assert model.generate(one.values[0], **options) == wanted["text"]
        streamed = client("POST", "/v1/generate", {**body, "stream": True})
        if len(wanted["candidates"]) > 1:
            assert streamed.status == 422
            return
        assert events_of(streamed) == [("text", {"text": wanted["text"]}), ("end", {})]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": 0.5, "beam": 2}, "temperature= draws texts, beam= searches for them"),
        ({"samples": 17}, "samples must be at most 16 on this server"),
        ({"samples": 0}, "samples must be a positive whole number"),
        ({"length": 5}, "max_length= limits the outputs"),
        ({"beam": 2, "n_best": 3}, "n_best"),
        ({"max_length": 5_000}, "at most 2000"),
        ({"top_k": "3"}, "must be a number"),
        ({"probabilities": True}, "has no key 'probabilities'"),
    ],
    ids=str,
)
def test_options_of_a_model_of_pairs_are_checked_as_on_the_command_line(
    options: dict[str, Any], message: str, pairs: Client
) -> None:
    reply = pairs("POST", "/v1/generate", {"prompt": "fine film", **options})
    assert reply.status == 422
    assert message in reply.body["error"]["message"]


def test_a_text_that_takes_too_long_ends_with_an_error(tmp_path: Path) -> None:
    text = write(tmp_path / "own.txt", *["never a dull film"] * 150)
    own = ["data=text", f"data.path='{text}'", f"data.cache_dir='{tmp_path}'", "data.batch_size=3", "data.bptt=9"]
    model = seqmodels.load(saved(tmp_path, *own, "model.embedding_size=3", file=text, values=[]).run)
    end = model.preprocessing.vocabulary.tokens.index("<eos>")  # type: ignore[attr-defined]
    model.module.scores.linear.bias.data[end] = -1e9  # type: ignore[union-attr, operator]  # it never ends by itself
    with running(model, seconds=2, generated=10**7) as client:
        options = {"prompt": "fine", "length": 10**7}
        streamed = client("POST", "/v1/generate", {**options, "stream": True}).body.decode()
        assert "event: error" in streamed.split("\n\n")[-2]
        assert client("POST", "/v1/generate", options).status == 503
        assert client("GET", "/healthz").status == 200


def test_a_client_that_is_killed_ends_its_text_and_disturbs_nobody(writer: Any) -> None:
    model, client = writer
    body = json.dumps({"prompt": "fine", "stream": True, "length": 2000}).encode()
    lines = ["POST /v1/generate HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}"])
    for cut in (10, len(body), len(body)):
        with socket.create_connection(("127.0.0.1", client.port)) as killed:
            killed.sendall(f"{head}\r\n\r\n".encode() + body[:cut])
            if cut == len(body):
                killed.recv(100)
    assert client("POST", "/v1/generate", {"prompt": "a", "length": 3}).status == 200
    assert 'status="500"' not in client("GET", "/metrics").body.decode()
    until = time.monotonic() + 20
    while client.metric("seqmodels_waiting") > 0 and time.monotonic() < until:
        time.sleep(0.05)
    assert client.metric("seqmodels_waiting") == 0
    assert (
        model.generate("a", length=3) == "a" + client("POST", "/v1/generate", {"prompt": "a", "length": 3}).body["text"]
    )


def test_kernels_of_batches_are_built_before_a_server_takes_requests(
    classifier: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    considered: list[list[str]] = []

    def preference(*arguments: Any, **options: Any) -> list[str]:
        considered.append(unrolling_preference(*arguments, **options))
        return considered[-1]

    unrolling_preference = unrolling.preference
    monkeypatch.setattr(unrolling, "preference", preference)
    warm_up(seqmodels.load(classifier.run), 256)  # the model is very small
    assert "fused" in considered[-1], "inputs are so few and short that nothing is compiled for them"


def test_a_batch_has_similar_lengths_and_no_more_steps_than_the_longest_input() -> None:
    lengths = [9, 1, 20, 3, 2, 10, 1]
    found = list(batches_of(lengths, most=3, steps=20))
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    assert [[lengths[row] for row in batch] for batch in found] == [[1, 1, 2], [3, 9], [10], [20]]
    assert list(batches_of([], most=3, steps=20)) == []
