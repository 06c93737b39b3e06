"""Untrusted JSON: any problem becomes a single error with its location."""

import json
from typing import Any


def parsed_json(text: str, place: str) -> Any:
    """Parse a JSON text; error messages start with ``place``.

    Raises:
        ValueError: invalid JSON, nested too deeply, or a number with thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{place}: is not JSON: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{place}: is not JSON: {error}") from error
