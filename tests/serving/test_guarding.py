"""What a server refuses: the wrong clients, wrong requests, too much, too slowly."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

import seqmodels
from seqmodels.errors import ConfigError
from seqmodels.exporting import Model
from seqmodels.serving import Limits, openapi
from seqmodels.serving.server import check_access, listen
from seqmodels.serving.service import GENERATE_OPTIONS, PREDICT_OPTIONS
from tests.exporting.saved import texts
from tests.serving.running import Client, running

TOKEN = "correct-horse-battery"
PREDICT = "/v1/predict"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return seqmodels.load(texts(tmp_path_factory.mktemp("texts")).run)


@pytest.fixture(scope="module")
def client(model: Model) -> Iterator[Client]:
    with running(model, body_bytes=2000, inputs=5, length=30, upload_seconds=0.5) as client:
        yield client


def nested(depth: int) -> bytes:
    return b'{"inputs": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 422, "inputs"),
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "must be a JSON object, got a list"),
        (b"\xff", 400, "not UTF-8: byte 0"),
        (b'{"inputs": [NaN]}', 400, "NaN"),
        (b'{"inputs": [1e999]}', 400, "not finite"),
        (b'{"inputs": [1' + b"0" * 30 + b"]}", 400, "64 bits"),
        (b'{"inputs": ["\\ud800"]}', 400, "surrogate"),
        (nested(9), 400, "nest"),
        (nested(900), 400, "nest"),
        (b'{"inptus": ["a"]}', 422, "did you mean 'inputs'?"),
        (b'{"inputs": ["fine"], "rows": [{}]}', 422, "inputs"),
        (b'{"inputs": "fine"}', 422, "a list of 1 to 5, got a string"),
        (b'{"inputs": []}', 422, "a list of 1 to 5, got 0"),
        (b'{"inputs": ["a", "a", "a", "a", "a", "a"]}', 422, "got 6"),
        (b'{"inputs": [null]}', 422, "reads texts"),
        (b'{"inputs": [{"text": 5}]}', 422, "item 1"),
        (b'{"rows": [1]}', 422, "row 1 must be an object"),
        (b'{"inputs": ["' + b"fine " * 31 + b'"]}', 422, "31 steps, the server reads at most 30"),
        (b'{"inputs": ["fine"], "options": []}', 422, "options must be an object"),
        (b'{"inputs": ["fine"], "options": {"beem": 1}}', 422, "did you mean 'beam'?"),
        (b'{"inputs": ["fine"], "options": {"beam": 2}}', 422, "models that write texts"),
        (b'{"inputs": ["fine"], "options": {"beam": 99}}', 422, "at most 16"),
        (b'{"inputs": ["fine"], "options": {"beam": [1]}}', 422, "must be a number"),
        (b'{"inputs": ["' + b"x" * 2000 + b'"]}', 413, "at most 2000 bytes"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, bytes) else "",
)
def test_a_request_that_is_wrong_is_told_what_is_wrong(body: bytes, status: int, message: str, client: Client) -> None:
    reply = client("POST", PREDICT, body, {"Content-Type": "application/json", "X-Request-ID": "mine-1"})
    assert reply.status == status, reply
    assert message in reply.body["error"]["message"]
    assert reply.body["error"]["request_id"] == reply.headers["x-request-id"] == "mine-1"


def test_other_methods_paths_and_types_are_errors_in_json(client: Client) -> None:
    body = b'{"inputs": ["fine"]}'
    assert client("POST", "/v1/predictions", body).status == 404
    assert client("GET", PREDICT).status == 405
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):  # those a page may send
        assert client("POST", PREDICT, body, {"Content-Type": kind}).status == 415
    assert client("POST", PREDICT, b"RIFF", {"Content-Type": "audio/wav"}).status == 415
    assert client("POST", "/v1/generate", {"prompt": "fine"}).status == 422
    assert client("GET", "/v1/sessions/unknown").body["error"]["status"] == 404


def raw(client: Client, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send bytes as they are, and return all of the answer."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                break
            time.sleep(pause)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        return received


def test_bytes_that_are_no_http_get_an_error_in_json(client: Client) -> None:
    answer = raw(client, b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == 400
    assert raw(client, b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 400")


ENDLESS = {
    "line": b"GET /",
    "name of a header": b"GET / HTTP/1.1\r\nX",
    "header": b"GET / HTTP/1.1\r\nX: ",
    "trailer": b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    "extension of a chunk": b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;",
}


@pytest.mark.parametrize("part", ENDLESS)
def test_no_part_of_a_request_is_held_without_limit(part: str, client: Client) -> None:
    """The time limit alone would let a fast client fill the memory."""
    begun = time.monotonic()
    answer = raw(client, ENDLESS[part], *[b"x" * 20_000] * 40, pause=0.001)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert time.monotonic() - begun < 5
    many = b"".join(b"X%d: y\r\n" % number for number in range(5000))
    assert raw(client, b"GET / HTTP/1.1\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 400")


def test_requests_sent_before_the_last_answer_are_answered_in_turn_and_not_held_without_limit(client: Client) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %d\r\n"
    some = [head % number + b"\r\n" for number in range(9)]
    answer = raw(client, b"".join(some) + head % 9 + b"Connection: close\r\n\r\n")
    assert [line for line in answer.splitlines() if line.startswith(b"x-request-id")] == [
        b"x-request-id: %d" % number for number in range(10)
    ]
    flooded = raw(client, (head % 0 + b"\r\n") * 3000)
    assert flooded.count(b"HTTP/1.1 200") < 300
    assert client("GET", "/healthz").status == 200


def test_slow_clients_are_cut_off_and_others_are_answered_meanwhile(client: Client) -> None:
    begun = time.monotonic()
    assert raw(client, b"GET / HTTP/1.1\r\n", b"X: y\r\n", pause=0.1) == b""
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    )
    assert raw(client, head, b"{").startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < 15
    assert client("GET", "/healthz").status == 200


def test_a_large_body_is_refused_before_it_is_read_whole(client: Client) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    declared = raw(client, head + b"Content-Length: 999999999\r\n\r\n")
    assert declared.startswith(b"HTTP/1.1 413")
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    assert raw(client, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 18).startswith(b"HTTP/1.1 413")


def test_a_local_server_answers_no_requests_for_other_hosts(client: Client) -> None:
    assert client("GET", "/healthz", headers={"Host": "example.org"}).status == 421
    assert client("GET", "/healthz", headers={"Host": f"localhost:{client.port}"}).status == 200


def test_a_local_server_answers_no_pages_of_other_sites(client: Client) -> None:
    here = f"127.0.0.1:{client.port}"
    for origin in ("http://example.org", "null", "http://127.0.0.1:1", f"http://{here}.example.org"):
        refused = client("POST", "/v1/generate", b"", {"Origin": origin})  # no preflight asks for permission
        assert (refused.status, "other sites" in refused.body["error"]["message"]) == (403, True), origin
    assert client("POST", PREDICT, {"inputs": ["fine"]}, {"Origin": f"http://{here}"}).status == 200


def test_a_token_opens_all_that_tells_something_of_the_model(model: Model) -> None:
    with running(model, token=TOKEN) as client:
        for path in ("/", "/page.js", "/healthz", "/readyz", "/docs", "/openapi.json"):
            assert client("GET", path, token=None).status == 200, path
        for given in (None, "wrong-horse-battery", " ", TOKEN + "x", "\xff"):
            for method, path in (("GET", "/metrics"), ("GET", "/v1/model"), ("POST", PREDICT), ("GET", "/v1/nothing")):
                refused = client(method, path, token=given)
                assert refused.status == 401, (given, path)
                assert TOKEN not in json.dumps(refused.body)
        assert client("GET", "/v1/model").status == 200
        assert client("GET", "/v1/model", headers={"Authorization": f"Basic {TOKEN}"}).status == 401


@pytest.mark.parametrize(
    ("host", "token", "message"),
    [
        ("0.0.0.0", None, "needs a token"),
        ("example.org", None, "needs a token"),
        ("127.0.0.1", "short", "at least 16"),
        ("0.0.0.0", "sixteen characters", "without spaces"),
        ("0.0.0.0", 1234567890123456, "a text"),
    ],
)
def test_a_server_without_a_proper_token_does_not_start(host: str, token: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_access(host, token)


def test_addresses_and_limits_that_cannot_be_are_refused() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be used"):
            listen("127.0.0.1", taken.getsockname()[1])
    for port in (-1, 70_000, "80", True):
        with pytest.raises(ConfigError, match="port must be 0 to 65535"):
            listen("127.0.0.1", port)
    for limits in ({"batch_size": 0}, {"inputs": 1.5}, {"seconds": float("inf")}, {"sessions": True}):
        with pytest.raises(ConfigError, match=f"limits.{next(iter(limits))} must be"):
            Limits(**limits)


def test_the_description_names_every_endpoint_and_fetches_nothing(client: Client) -> None:
    found = client("GET", "/openapi.json").body
    assert found == json.loads(json.dumps(openapi.document()))
    assert set(openapi.GENERATE["properties"]) == {"prompt", "stream", *GENERATE_OPTIONS}
    assert set(openapi.PREDICT["properties"]["options"]["properties"]) == set(PREDICT_OPTIONS)
    for path, methods in found["paths"].items():
        for method in methods:
            reply = client(method.upper(), path.replace("{session}", "unknown"))
            assert reply.status != 405, (method, path)
            assert reply.status != 404 or "session" in reply.body["error"]["message"], (method, path)
    page = client("GET", "/docs")
    assert all(f"{path}</code>" in page.body.decode() for path in found["paths"])
    assert b"//" not in page.body.replace(b"<!doctype", b"")
    assert "default-src 'none'" in page.headers["content-security-policy"]
