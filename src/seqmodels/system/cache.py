"""The folder of files that can be made again."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return where files of a kind are kept: under ``SEQMODELS_CACHE_DIR``, or the user's cache folder.

    Example:
        >>> cache_folder("tokens").name
        'tokens'
    """
    if own := os.environ.get("SEQMODELS_CACHE_DIR"):
        return Path(own).expanduser().absolute() / kind
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "seqmodels" / kind
