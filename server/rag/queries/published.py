"""What the compiler of filters accepts, as JSON Schema for the published document."""

from pipelines.retrieval.filters import LARGEST_INTEGER, LONGEST_LIST, MOST_CONDITIONS, SYSTEM_TYPES
from server.rag.documents.published import OWN_NAME, Json

_SCALARS: list[Json] = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]

_SYSTEM_FIELDS: dict[type, Json] = {
    str: {"type": ["string", "null"]},
    int: {"type": ["integer", "null"], "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER},
}
FILTERS: Json = {
    "type": "object",
    "maxProperties": MOST_CONDITIONS,
    "properties": {f"_system.{name}": _SYSTEM_FIELDS[kind] for name, kind in sorted(SYSTEM_TYPES.items())},
    "patternProperties": {
        OWN_NAME: {"anyOf": [*_SCALARS, {"type": "array", "maxItems": LONGEST_LIST, "items": {"anyOf": _SCALARS}}]}
    },
    "additionalProperties": False,
    "examples": [{"source_type": "documentation"}, {"_system.page": 3}],
}
