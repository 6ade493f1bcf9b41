"""What the compiler of filters accepts, as JSON Schema for the published document."""

from collections.abc import Mapping

from pipelines.retrieval.conditions import LARGEST_INTEGER, LONGEST_LIST, ORDERED, SYSTEM_TYPES
from pipelines.retrieval.filters import DEEPEST, MOST_ALTERNATIVES, MOST_CONDITIONS, MOST_KEYS, SYSTEM_PREFIX
from server.rag.documents.published import OWN_NAME, Json

_STRING: Json = {"type": "string"}
_SCALAR: Json = {"anyOf": [_STRING, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]}
_INTEGER: Json = {"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}


def _list(items: Json) -> Json:
    return {"type": "array", "maxItems": LONGEST_LIST, "items": items}


def _operators(value: Json, bound: Json, part: Json | None) -> Json:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "$in": _list(value),
            **({"$contains": part} if part is not None else {}),
            **dict.fromkeys(ORDERED, bound),
            "$exists": {"type": "boolean"},
        },
    }


def _system_field(kind: type) -> Json:
    value, part = (_STRING, _STRING) if kind is str else (_INTEGER, None)
    nullable = {**value, "type": [value["type"], "null"]}
    return {"anyOf": [nullable, _operators(nullable, value, part)]}


_CONDITIONS: Json = {
    "FilterValue": {
        "title": "FilterValue",
        "description": "A value to equal, or operators that must all hold.",
        "anyOf": [
            *_SCALAR["anyOf"],
            _list(_SCALAR),
            _operators(_SCALAR, {"anyOf": [_STRING, {"type": "number"}]}, _SCALAR),
        ],
    },
    **{
        f"Filter{kind.__name__.title()}": {"title": f"Filter{kind.__name__.title()}", **_system_field(kind)}
        for kind in (str, int)
    },
}


def _named(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _name(depth: int) -> str:
    return "Filters" if depth == 1 else f"Filters{depth}"


def _level(depth: int) -> Json:
    below = _named(_name(depth + 1))
    several = {"type": "array", "minItems": 1, "maxItems": MOST_ALTERNATIVES, "items": below}
    nested = {"$and": several, "$or": several, "$not": below} if depth < DEEPEST else {}
    return {
        "title": _name(depth),
        "type": "object",
        "maxProperties": MOST_KEYS,
        "properties": {
            **nested,
            **{
                f"{SYSTEM_PREFIX}{name}": _named(f"Filter{kind.__name__.title()}")
                for name, kind in sorted(SYSTEM_TYPES.items())
            },
        },
        "patternProperties": {OWN_NAME: _named("FilterValue")},
        "additionalProperties": False,
    }


FILTER_SCHEMAS: Mapping[str, Json] = {
    **_CONDITIONS,
    **{_name(depth): _level(depth) for depth in range(1, DEEPEST + 1)},
}
FILTER_SCHEMAS["Filters"].update(
    description=f"Conditions that must all hold; at most {MOST_CONDITIONS}, however they are nested.",
    examples=[
        {"source_type": "documentation"},
        {"_system.page": {"$lte": 3}, "$or": [{"tags": {"$contains": "draft"}}, {"$not": {"year": {"$gte": 2020}}}]},
    ],
)
FILTERS: Json = _named("Filters")
