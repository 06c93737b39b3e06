"""``record.json``: what the report of a run needs and no other file has."""

from pathlib import Path
from typing import Any

from seqmodels.errors import ConfigError
from seqmodels.system.json_text import read_json

RECORD = "record.json"


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a run or evaluation; nothing if it has none, as those of older versions.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise ConfigError(f"{path} must hold keys and values")
    return found
