"""JSON Schema as authors of flows may use it: the part that neither fetches, nor calls patterns, nor takes long."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # it has no types

from server.agents.flow.definition import Json

# Left out on purpose: $ref (the library fetches what it does not know), pattern and patternProperties (expressions
# that take for ever), uniqueItems and contains (time with the square of the length), dependentSchemas and the like.
_KEYWORDS = frozenset(
    """
    type enum const title description default examples format deprecated readOnly writeOnly
    properties required additionalProperties minProperties maxProperties
    items prefixItems minItems maxItems
    minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength
    anyOf oneOf allOf not
    """.split()  # noqa: SIM905 - a list of thirty names is easier to read so
)
_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SCHEMA = frozenset({"additionalProperties", "items", "not"})
_MOST_PARTS = 2_000
_DEEPEST = 20
# Parts of the schema times parts of the value: at some microseconds each, a second or two.
_MOST_WORK = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Where a value is not what a schema asks for: a JSON pointer, and a sentence."""

    pointer: str
    message: str


def fault(schema: Json) -> str | None:
    """Return what is wrong with a schema in one sentence, or None."""
    if not isinstance(schema, dict):
        return "A schema is an object."
    if _parts(schema, _MOST_PARTS) > _MOST_PARTS:
        return f"A schema has up to {_MOST_PARTS} parts."
    for keyword, depth in _keywords(schema):
        if depth > _DEEPEST:
            return f"A schema is nested up to {_DEEPEST} deep."
        if keyword not in _KEYWORDS:
            return f"A schema here cannot have {keyword[:60]!r}."
    wrong = best_match(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))
    if wrong is not None:
        where = "/".join(map(str, wrong.absolute_path))
        return f"This is no JSON Schema: {where or 'it'} is not what it has to be."
    return None


def mismatch(value: Json, schema: Mapping[str, Json]) -> Mismatch | None:
    """Return where `value` is not what `schema` asks for, if it is not. A schema with a fault refuses nothing."""
    given = dict(schema)
    if fault(given) is not None:
        return None
    parts = _parts(given, _MOST_PARTS)
    most = _MOST_WORK // parts
    if _parts(value, most) > most:
        return Mismatch(pointer="", message=f"This is too large for its schema: it may have up to {most} parts.")
    wrong: Any = best_match(Draft202012Validator(given).iter_errors(value))
    if wrong is None:
        return None
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in wrong.absolute_path)
    return Mismatch(pointer="".join(f"/{step}" for step in steps), message=wrong.message[:500])


def _keywords(schema: Mapping[str, Json], depth: int = 1) -> Iterator[tuple[str, int]]:
    if depth > _DEEPEST + 1:
        return
    for keyword, value in schema.items():
        yield keyword, depth
        within: list[Json] = []
        if keyword in _SCHEMA:
            within = [value]
        elif keyword in _OF_SCHEMAS and isinstance(value, list):
            within = value
        elif keyword == "properties" and isinstance(value, dict):
            within = list(value.values())
        for each in within:
            if isinstance(each, dict):
                yield from _keywords(each, depth + 1)


def _parts(value: Json, most: int) -> int:
    """Return how many values there are in a value, itself included, or something above `most`."""
    count, left = 0, [value]
    while left and count <= most:
        each = left.pop()
        count += 1
        if isinstance(each, dict):
            left += each.values()
        elif isinstance(each, list):
            left += each
    return count
