"""Downloads, against a web server on this machine."""

import gzip
import hashlib
import socket
from pathlib import Path

import pytest

from seqmodels.data.download import download
from seqmodels.data.formats.files import DataFile, load
from seqmodels.errors import DownloadError
from tests.data.conftest import Server

CONTENT = bytes(range(256)) * 999
PACKED = gzip.compress(CONTENT)
FILE = DataFile("numbers", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), ())


def test_a_file_arrives_verified_under_its_name_and_with_its_packing(server: Server, tmp_path: Path) -> None:
    server.pages = {"/numbers": [(200, {}, CONTENT)], "/numbers.gz": [(200, {}, PACKED)]}
    seen: list[tuple[str, int, int | None]] = []
    for name in ("numbers", "numbers.gz"):
        folder = tmp_path / name / "new"
        file = FILE._replace(urls=(server.url(f"/{name}"),))
        path = download(file, folder, progress=lambda *step: seen.append(step))
        assert path == folder / name
        assert load(folder, file) == CONTENT
        assert list(folder.iterdir()) == [path]
    assert ("numbers", len(CONTENT), len(CONTENT)) in seen


def test_a_file_with_a_folder_in_its_name_arrives_there(server: Server, tmp_path: Path) -> None:
    server.pages = {"/numbers": [(200, {}, CONTENT)]}
    file = FILE._replace(name="one/numbers", urls=(server.url("/numbers"),))
    assert download(file, tmp_path / "new") == tmp_path / "new" / "one" / "numbers"
    assert load(tmp_path / "new", file) == CONTENT


def test_a_server_that_fails_once_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.pages = {"/numbers": [(503, {}, b""), (200, {}, CONTENT)]}
    download(FILE._replace(urls=(server.url("/numbers"),)), tmp_path)
    assert server.asked == ["/numbers", "/numbers"]


def test_the_next_mirror_is_asked_where_one_has_no_file_or_another(server: Server, tmp_path: Path) -> None:
    server.pages = {"/altered": [(200, {}, CONTENT[::-1])], "/good": [(200, {}, CONTENT)]}
    urls = tuple(server.url(path) for path in ("/none", "/altered", "/good"))
    download(FILE._replace(urls=urls), tmp_path)
    assert server.asked == ["/none", "/altered", "/altered", "/good"]
    assert load(tmp_path, FILE) == CONTENT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, {}, b""), "404"),
        ((500, {}, b""), "500"),
        ((200, {}, CONTENT[::-1]), "sha256"),
        ((200, {}, CONTENT[:-5]), "bytes"),
        ((200, {"Content-Length": str(len(CONTENT))}, CONTENT[:-5]), "cut off after 255739 of 255744"),
        ((200, {}, CONTENT * 9), "more than the 255744 bytes"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "not allowed"),
        ((302, {"Location": "ftp://127.0.0.1/numbers"}, b""), "ftp"),
        ((302, {"Location": "/numbers"}, b""), "infinite loop"),
    ],
)
def test_what_is_not_the_published_file_is_refused_and_leaves_nothing(
    server: Server, tmp_path: Path, answer: tuple[int, dict[str, str], bytes], reason: str
) -> None:
    server.pages = {"/numbers": [answer]}
    with pytest.raises(DownloadError, match=rf"(?s)could not download numbers:.*{reason}.*put it into {tmp_path}"):
        download(FILE._replace(urls=(server.url("/numbers"),)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_the_file_that_was_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(b"what was there")
    with pytest.raises(DownloadError):
        download(FILE._replace(urls=(server.url("/none"),)), tmp_path)
    assert (tmp_path / "numbers").read_bytes() == b"what was there"


def test_no_network_is_an_error_that_says_where_to_put_the_file(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/numbers"
        with pytest.raises(DownloadError, match=f"(?s)refused.*put it into {tmp_path}"):
            download(FILE._replace(urls=(url,)), tmp_path)


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/numbers"
        with pytest.raises(DownloadError, match="timed out"):
            download(FILE._replace(urls=(url,)), tmp_path, attempts=1, timeout=0.2)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/numbers", "data:,numbers"])
def test_only_http_addresses_are_opened(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="unknown url type"):
        download(FILE._replace(urls=(url,)), tmp_path)
