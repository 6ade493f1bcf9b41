"""What a validator written by hand holds metadata to, as JSON Schema for the published document."""

from typing import Any

from server.rag.documents.metadata import MAX_DEPTH, MAX_NAME_CHARACTERS

Json = dict[str, Any]

_INT64 = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
# Names that begin so are ours: see metadata.py.
OWN_NAME = r"^[^$_][\s\S]*$"


def _level(depth: int) -> Json:
    scalars = [{"type": "string"}, _INT64, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
    if depth > MAX_DEPTH:
        return {"anyOf": scalars}
    return {"anyOf": [*scalars, {"type": "array", "items": _level(depth + 1)}, _object(depth)]}


def _object(depth: int) -> Json:
    return {
        "type": "object",
        "propertyNames": {"pattern": OWN_NAME, "maxLength": MAX_NAME_CHARACTERS},
        "additionalProperties": _level(depth + 1),
    }


METADATA: Json = _object(1)
