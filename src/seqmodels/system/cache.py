"""The folder for cached files."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return the cache folder for files of a kind, in ``SEQMODELS_CACHE_DIR`` or the user's cache folder.

    Raises:
        RuntimeError: the user has no home directory, and no environment variable names a folder.
        OSError: there is no working directory that a relative path could start from.

    Example:
        >>> cache_folder("tokens").name
        'tokens'
    """
    if own := os.environ.get("SEQMODELS_CACHE_DIR"):
        return Path(own).expanduser().absolute() / kind
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "seqmodels" / kind
