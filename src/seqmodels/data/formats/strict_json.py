"""JSON from outside: whatever is wrong with it is one error that says where it stands."""

import json
from typing import Any


def parsed_json(text: str, place: str) -> Any:
    """Return what a text of JSON says; ``place`` is what errors begin with.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{place}: is not JSON: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{place}: is not JSON: {error}") from error
