"""What validators written by hand hold metadata and filters to, as JSON Schema for the published document."""

from typing import Any

from pipelines.retrieval.filters import LARGEST_INTEGER, LONGEST_LIST, MOST_CONDITIONS, SYSTEM_TYPES
from server.rag.metadata import MAX_DEPTH, MAX_NAME_CHARACTERS

Json = dict[str, Any]

_INT64 = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_SCALARS: list[Json] = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
# Names that begin so are ours: see metadata.py.
_OWN_NAME = r"^[^$_][\s\S]*$"


def _level(depth: int) -> Json:
    scalars = [{"type": "string"}, _INT64, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
    if depth > MAX_DEPTH:
        return {"anyOf": scalars}
    return {"anyOf": [*scalars, {"type": "array", "items": _level(depth + 1)}, _object(depth)]}


def _object(depth: int) -> Json:
    return {
        "type": "object",
        "propertyNames": {"pattern": _OWN_NAME, "maxLength": MAX_NAME_CHARACTERS},
        "additionalProperties": _level(depth + 1),
    }


METADATA: Json = _object(1)

_SYSTEM_FIELDS: dict[type, Json] = {
    str: {"type": ["string", "null"]},
    int: {"type": ["integer", "null"], "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER},
}
FILTERS: Json = {
    "type": "object",
    "maxProperties": MOST_CONDITIONS,
    "properties": {f"_system.{name}": _SYSTEM_FIELDS[kind] for name, kind in sorted(SYSTEM_TYPES.items())},
    "patternProperties": {
        _OWN_NAME: {"anyOf": [*_SCALARS, {"type": "array", "maxItems": LONGEST_LIST, "items": {"anyOf": _SCALARS}}]}
    },
    "additionalProperties": False,
    "examples": [{"source_type": "documentation"}, {"_system.page": 3}],
}
