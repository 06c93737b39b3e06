"""What a server accepts of its clients."""

from dataclasses import dataclass, fields

from seqmodels.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server accepts of its clients, and how it batches their requests.

    Args:
        body_bytes: bytes of a request.
        inputs: texts, series or other inputs of a request; a table counts as the number of its rows.
        length: steps of an input after preprocessing, of a prompt, and of the inputs of a session in one request.
        generated: tokens that a request may ask for.
        beam: hypotheses that a request may ask a search to follow, and outputs that it may ask for.
        audio_seconds: duration of an uploaded recording.
        seconds: for the answer to a request, generated texts included.
        upload_seconds: for the headers of a request, and again for its body.
        sessions: sessions that are open at a time.
        idle_seconds: after which a session that is not used expires.
        waiting: inputs that may wait for the model; beyond, requests are refused with status 503.
        batch_size: inputs that the model reads at a time; 1 does not batch.
        batch_window: milliseconds that the model waits for other requests to fill a batch.

    Raises:
        ConfigError: a value is not a positive number; ``batch_window`` may be 0.

    Example:
        >>> Limits(batch_size=8).batch_size
        8
    """

    body_bytes: int = 4_000_000
    inputs: int = 256
    length: int = 20_000
    generated: int = 2_000
    beam: int = 16
    audio_seconds: float = 120.0
    seconds: float = 30.0
    upload_seconds: float = 10.0
    sessions: int = 1_000
    idle_seconds: float = 600.0
    waiting: int = 4_096
    batch_size: int = 32
    batch_window: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type in (int, "int")
            wanted = "a positive whole number" if whole else "a positive number"
            numeric = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            smallest = 0 if field.name == "batch_window" else 1 if whole else 1e-3
            if not numeric or not smallest <= value < float("inf"):
                raise ConfigError(f"limits.{field.name} must be {wanted}, got {value!r}")
