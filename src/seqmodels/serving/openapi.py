"""The description of the endpoints in OpenAPI, and a page that shows it without fetching anything."""

from html import escape
from typing import Any

from seqmodels import __version__

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
ANYTHING: Schema = {}


def items(schema: Schema, text: str = "") -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema, "description": text}


def record(text: str = "", /, **properties: Schema) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return {"type": "object", "description": text, "properties": properties, "additionalProperties": False}


SEARCH: dict[str, Schema] = {
    "beam": WHOLE, "n_best": WHOLE, "length_penalty": NUMBER, "coverage_penalty": NUMBER, "max_length": WHOLE,
}  # fmt: skip
ERROR = record(
    error=record("What is wrong.", status=WHOLE, reason=TEXT, message=TEXT, request_id=TEXT),
)
PREDICT = record(
    "inputs or rows must be given.",
    inputs=items(ANYTHING, "Texts; or arrays (time, channels), in the unit of the data; or records as objects."),
    rows=items({"type": "object"}, "The rows of one table, objects with its columns."),
    options=record(
        "Of models that write texts, their search; of taggers, probabilities.",
        **SEARCH, probabilities={"type": "boolean"},
    ),
)  # fmt: skip
PREDICTIONS = record(predictions=items(ANYTHING, "A prediction for each input, or for each group of a table."))
GENERATE = record(
    prompt=TEXT,
    stream={"type": "boolean", "description": "Whether the text is sent as server-sent events."},
    length={**WHOLE, "description": "Most tokens that a language model writes."},
    temperature={**NUMBER, "description": "0: the most probable token each time; 1: the probabilities of the model."},
    top_k={**WHOLE, "description": "Draw among this number of most probable tokens."},
    top_p={**NUMBER, "description": "Draw among the fewest tokens with this total probability."},
    seed={**WHOLE, "description": "The same one gives the same text."},
    samples={
        **WHOLE,
        "description": "Outputs that a model of pairs draws. It draws if this, temperature, top_k or "
        "top_p is given, and searches otherwise, with the options below; max_length serves both.",
    },
    **SEARCH,
)
GENERATED = record(
    text={**TEXT, "description": "What follows the prompt; of a model of pairs, the best or first output for it."},
    score={**NUMBER, "description": "Of models of pairs, as in a prediction."},
    candidates=items(ANYTHING, "Of models of pairs, every output that was asked for: [text, score], best first."),
)  # fmt: skip
STATE = record("The state of a session, only to be sent back.", model=TEXT, steps=WHOLE, tensors=TEXT)
SESSION = record(
    session={**TEXT, "description": "Its name."},
    steps={**WHOLE, "description": "How many it has read."},
    expires_in={**NUMBER, "description": "Seconds until it expires if it is not used."},
    output={"description": "What the model said after the last step."},
)
STEP = record(
    "steps or text must be given.",
    steps=items(ANYTHING, "A list of numbers for each step, in the unit of the data; of texts, a token."),
    text={**TEXT, "description": "Of a language model: read token by token."},
)
STEPPED = record(**SESSION["properties"], outputs=items(ANYTHING, "What the model said after each step."))

OPERATIONS: tuple[tuple[str, str, str, Schema | None, int, Schema | None], ...] = (
    ("get", "/healthz", "Whether the process answers.", None, 200, record(status=TEXT)),
    ("get", "/readyz", "Whether the model takes requests.", None, 200, record(status=TEXT)),
    ("get", "/metrics", "Metrics for Prometheus.", None, 200, None),
    ("get", "/v1/model", "The model, and the limits of the server.", None, 200, {"type": "object"}),
    ("post", "/v1/predict", "Predict for one or more inputs, or for an uploaded recording.", PREDICT, 200, PREDICTIONS),
    ("post", "/v1/generate", "Write a text after a prompt, or for it.", GENERATE, 200, GENERATED),
    ("post", "/v1/sessions", "Open a session, new or restored.", record(state=STATE), 201, SESSION),
    ("get", "/v1/sessions/{session}", "Read how far a session is.", None, 200, SESSION),
    ("post", "/v1/sessions/{session}/step", "Advance a session.", STEP, 200, STEPPED),
    ("get", "/v1/sessions/{session}/state", "Save the state of a session.", None, 200, record(state=STATE)),
    ("delete", "/v1/sessions/{session}", "Close a session.", None, 204, None),
)
"""Of each endpoint the method, the path, what it does, the body of a request, the status and body of its answer."""


def document() -> Schema:
    """Return the description of the server in OpenAPI 3.1.

    Example:
        >>> sorted(document()["paths"])[:3]
        ['/healthz', '/metrics', '/readyz']
    """
    paths: dict[str, Schema] = {}
    for method, path, summary, body, status, result in OPERATIONS:
        success: Schema = {"description": "Success."}
        if result is not None:
            success["content"] = {"application/json": {"schema": result}}
        failure = {"description": "An error.", "content": {"application/json": {"schema": ERROR}}}
        operation: Schema = {"summary": summary, "responses": {str(status): success, "default": failure}}
        if "{session}" in path:
            operation["parameters"] = [{"name": "session", "in": "path", "required": True, "schema": TEXT}]
        if body is not None:
            operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
        if path == "/v1/predict":
            operation["requestBody"]["content"]["audio/*"] = {"schema": {"type": "string", "format": "binary"}}
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "seqmodels serve", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def page() -> str:
    """Return the same description as a page of HTML."""
    rows = "".join(
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(summary)}</p>"
        f"{_fields('Request', body)}{_fields(f'Answer {status}', result)}</section>"
        for method, path, summary, body, status, result in OPERATIONS
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>seqmodels serve: endpoints</title><style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,"
        "sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}code{font-size:.95em}h2{margin:2rem 0 0}"
        "dt{font-family:monospace}dd{opacity:.75;margin-left:1.5rem}code,dt{overflow-wrap:anywhere}</style>"
        "<h1>Endpoints</h1><p>Errors are JSON with <code>status</code>, <code>message</code> and "
        '<code>request_id</code>. The same as <a href="openapi.json">OpenAPI 3.1</a>; <a href="./">try the model</a>.'
        f"</p>{rows}</html>"
    )


def _fields(title: str, schema: Schema | None) -> str:
    if schema is None or "properties" not in schema:
        return ""
    names = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(field.get('type', 'any'))}. {escape(field.get('description', ''))}"
        f"{_fields('', field)}</dd>"
        for name, field in schema["properties"].items()
    )
    return f"<h3>{escape(title)}</h3><p>{escape(schema['description'])}</p><dl>{names}</dl>"
