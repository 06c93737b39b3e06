"""Download of published files: several mirrors, verified content, and never half a file."""

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
"""Told the file's name, the bytes so far, and how many there will be where the server says so."""


def progress_line(name: str, done: int, total: int | None) -> None:
    """Keep one line on a terminal's stderr up to date; elsewhere write nothing."""
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
    """Fetch ``file`` into ``folder`` from the first of its addresses that has it; return its path.

    The content is verified before the file gets its name, in one atomic step; a failure leaves nothing behind.

    Raises:
        DownloadError: no address gave the published content.
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
                if error.code < 500:  # asking again will not help
                    break
            except (OSError, ValueError, http.client.HTTPException) as error:
                reasons.append(f"{url}: {error}")
    listing = "\n  ".join(reasons)
    raise DownloadError(
        f"could not download {file.name}:\n  {listing}\nIf you have the file, put it into {folder.absolute()}"
    )


def download_missing(files: Iterable[DataFile], folder: Path) -> None:
    """Fetch those of the ``files`` that are not in ``folder``.

    Raises:
        DownloadError: a file could not be had.
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
        if done > file.size + CHUNK:  # packing never adds as much
            raise ValueError(f"more than the {file.size} bytes of the published file")
        progress(file.name, done, total)
    if total is not None and done != total:
        raise ValueError(f"cut off after {done} of {total} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https alone, so that no address or redirect reads a local file."""
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
