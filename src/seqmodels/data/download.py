"""Download of published files: multiple mirrors, verified content, no partial files."""

import http.client
import sys
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.error import HTTPError

from seqmodels.data.formats.files import DataFile, locate, published_bytes
from seqmodels.errors import DownloadError
from seqmodels.system.durable import DurableFile, durable_file

CHUNK = 1 << 16

Progress = Callable[[str, int, int | None], None]
"""Called with the file name, the bytes so far, and the total if the server sends it."""


def progress_line(name: str, done: int, total: int | None) -> None:
    """Update a progress line on stderr if it is a terminal; otherwise print nothing."""
    if sys.stderr.isatty():
        share = f" of {total / 1e6:.1f}" if total else ""
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{name}: {done / 1e6:.1f}{share} MB{end}")
        sys.stderr.flush()


def download(
    file: DataFile,
    folder: Path,
    *,
    attempts: int = 2,
    timeout: float = 30.0,
    progress: Progress = progress_line,
) -> Path:
    """Download ``file`` into ``folder`` from the first URL that works; return its path.

    The content is verified before an atomic rename; a failed download leaves nothing behind.

    Raises:
        DownloadError: no URL served the published content.
    """
    (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in file.urls:
        for _ in range(attempts):
            try:
                return _fetch(url, file, folder, timeout, progress)
            except HTTPError as error:
                reasons.append(f"{url}: {error}")
                error.close()
                if error.code < 500:  # retrying will not help
                    break
            except (OSError, ValueError, http.client.HTTPException) as error:
                reasons.append(f"{url}: {error}")
    listing = "\n  ".join(reasons)
    raise DownloadError(
        f"could not download {file.name}:\n  {listing}\nIf you have the file, put it into {folder.absolute()}"
    )


def download_missing(files: Iterable[DataFile], folder: Path) -> None:
    """Download those ``files`` that are not in ``folder``.

    Raises:
        DownloadError: a file could not be downloaded.
    """
    for file in files:
        if locate(folder, file) is None:
            download(file, folder)


def _fetch(url: str, file: DataFile, folder: Path, timeout: float, progress: Progress) -> Path:
    packed = url.endswith(".gz") and not file.name.endswith(".gz")
    target = folder / (f"{file.name}.gz" if packed else file.name)
    request = urllib.request.Request(url, headers={"User-Agent": "seqmodels"})  # noqa: S310  (the opener has http only)
    with durable_file(target) as out, _opener().open(request, timeout=timeout) as response:
        _copy(response, out, file, progress)
        out.sync()
        published_bytes(Path(out.name), file, packed=target.suffix == ".gz")
    return target


def _copy(response: http.client.HTTPResponse, out: DurableFile, file: DataFile, progress: Progress) -> None:
    stated = response.headers.get("Content-Length", "")
    total = int(stated) if stated.isdecimal() else None
    done = 0
    while chunk := response.read(CHUNK):
        done += out.write(chunk)
        if done > file.size + CHUNK:  # compression never adds that much
            raise ValueError(f"more than the {file.size} bytes of the published file")
        progress(file.name, done, total)
    if total is not None and done != total:
        raise ValueError(f"cut off after {done} of {total} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener limited to http and https, so that no URL or redirect can read a local file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
