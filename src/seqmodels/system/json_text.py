"""JSON as its standard defines it: numbers that are not finite become null."""

import json
import math
from pathlib import Path
from typing import Any

from seqmodels.errors import ConfigError


def json_text(content: Any, indent: int | None = None) -> str:
    """Return plain data as JSON text; NaN and infinite numbers, which JSON does not have, become ``null``.

    Example:
        >>> json_text({"test/auroc": float("nan"), "losses": [0.5, float("inf")]})
        '{"test/auroc": null, "losses": [0.5, null]}'
    """
    try:
        return json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:  # something is not finite; to look for it every time would cost as much as writing
        return json.dumps(_finite(content), indent=indent, ensure_ascii=False, allow_nan=False)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ConfigError: the file is not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}: it is not valid JSON: {error}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
