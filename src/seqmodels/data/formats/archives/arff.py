"""The ``.arff`` format of Weka, as in the UCR and UEA archives: attributes, then one case per line.

The attributes are numeric, one per step (univariate), or a relational one (multivariate) whose value is a quoted text
with a line ``\\n`` per dimension. The last attribute is the class if it is nominal, ``{a,b}``, or the target number if
it is numeric and called ``target``, ``class`` or ``label``. ``?`` is a missing value; at the end of every dimension it
fills up a shorter series, since the rows of the format cannot be shorter. Lines that start with ``%`` are comments.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from seqmodels.data.formats.archives.cases import Case, CaseFile, checked_classes, content_lines

NUMERIC = ("numeric", "real", "integer")
TARGETS = ("target", "class", "label")
FIELD = re.compile(r"""\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^,]*)\s*(?:,|$)""", re.DOTALL)
ATTRIBUTE = re.compile(r"""\S+\s+('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\s{]+)\s*(.*)""")


class _Attribute(NamedTuple):
    name: str
    kind: str  # in lower case; nominal attributes have classes instead
    class_names: tuple[str, ...]

    @property
    def is_target(self) -> bool:
        return bool(self.class_names) or (self.kind in NUMERIC and self.name.lower() in TARGETS)


def arff_cases(text: str, name: str) -> CaseFile:
    """Split a file in the ``.arff`` format into its cases, whose values are not parsed.

    Raises:
        ValueError: invalid or sparse format, or other attributes than those of series; the message names the line.
    """
    lines = content_lines(text, comments=("%",))
    attributes = _header(lines, name)
    target = attributes[-1] if attributes[-1].is_target else None
    values = attributes[:-1] if target else attributes
    relational = [attribute.kind for attribute in values] == ["relational"]
    for attribute in values:
        if attribute.kind not in NUMERIC and not relational:
            kind = attribute.kind or "nominal"
            raise ValueError(
                f"{name}: the attribute {attribute.name!r} is {kind}, but a series has numeric attributes, one per "
                "step, or a single relational one; only the last attribute may be nominal, the class"
            )
    classes = target.class_names if target else ()
    file = CaseFile(name, [], classes, numeric=target is not None and not classes)
    for number, line in lines:
        file.cases.append(_case(line, f"{name}, line {number}", attributes, relational, target is not None))
    return file


def _header(lines: Iterator[tuple[int, str]], name: str) -> list[_Attribute]:
    """Read the attributes up to ``@data``; those inside a relational one are its steps, not attributes of a case."""
    attributes: list[_Attribute] = []
    inside = False
    for number, line in lines:
        where = f"{name}, line {number}"
        tag = line.split(maxsplit=1)[0].lower()
        if tag == "@data":
            if len(attributes) - any(attribute.is_target for attribute in attributes[-1:]) < 1:
                raise ValueError(f"{where}: no attribute has the values of a series")
            return attributes
        if tag == "@end":
            inside = False
        elif tag == "@attribute" and not inside:
            attributes.append(_attribute(line, where))
            inside = attributes[-1].kind == "relational"
        elif tag not in ("@attribute", "@relation"):
            raise ValueError(f"{where}: a header has @relation and @attribute up to @data, got {line[:40]!r}")
    raise ValueError(f"{name} has no line @data: it is no file of the .arff format")


def _attribute(line: str, where: str) -> _Attribute:
    found = ATTRIBUTE.fullmatch(line)
    if found is None or not found[2]:
        raise ValueError(f"{where}: an attribute must have a name and a type, got {line[:40]!r}")
    name, kind = _unquoted(found[1]), found[2].strip()
    if not kind.startswith("{"):
        return _Attribute(name, kind.split()[0].lower(), ())
    if not kind.endswith("}"):
        raise ValueError(f"{where}: the classes of {name!r} must end with }}, got {kind[-20:]!r}")
    names = [field for field in _fields(kind[1:-1]) if field]
    return _Attribute(name, "", checked_classes(names, f"{where}: the attribute {name!r}"))


def _case(line: str, where: str, attributes: list[_Attribute], relational: bool, labelled: bool) -> Case:
    if line.startswith("{"):
        raise ValueError(f"{where}: sparse rows are not read; write every value")
    fields = _fields(line)
    if len(fields) != len(attributes):
        raise ValueError(f"{where}: {len(fields)} fields, but there are {len(attributes)} attributes")
    label = fields.pop() if labelled else ""
    dimensions = [part.split(",") for part in fields[0].split("\n")] if relational else [fields]
    length = max((step for part in dimensions for step, cell in enumerate(part, 1) if cell.strip() != "?"), default=1)
    return Case(where, [",".join(part[:length]) for part in dimensions], label)


def _fields(line: str) -> list[str]:
    fields, start = list[str](), 0
    while start <= len(line):
        found = FIELD.match(line, start)
        if found is None:  # text after a closing quote
            return [*fields, line[start:]]
        fields.append(_unquoted(found[1].strip()))
        start = found.end() if found.end() > start and line[found.end() - 1] == "," else len(line) + 1
    return fields


def _unquoted(field: str) -> str:
    """Return a field without its quotes and escapes; ``\\n`` separates the dimensions of a relational value."""
    if len(field) < 2 or field[0] not in "'\"" or field[-1] != field[0]:
        return field
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], field[1:-1])
