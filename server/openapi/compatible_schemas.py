"""When a JSON schema may take another's place: what is asked may only widen, what is answered only narrow."""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
Schema = Json | bool

ASKED, ANSWERED = "asked", "answered"

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_FORMS = ("pattern", "format")


class Schemas:
    """Compares schemas of one document with those of another. What both call by reference is compared once."""

    def __init__(self, old: Json, new: Json) -> None:
        self._old = old["components"]["schemas"]
        self._new = new["components"]["schemas"]
        self._underway: set[tuple[str, str, str]] = set()

    def breaks(self, before: Schema, after: Schema, place: str, direction: str) -> Iterator[str]:
        """Yield `<place> <what>` for everything in which `after` cannot stand for `before`."""
        old, new = _spelled(before), _spelled(after)
        pair = (str(old.get("$ref")), str(new.get("$ref")), direction)
        if "$ref" in old and "$ref" in new:
            if pair in self._underway:
                return  # a schema that holds itself
            self._underway.add(pair)
        try:
            yield from self._compared(old, new, place, direction)
        finally:
            self._underway.discard(pair)

    def _compared(self, old: Json, new: Json, place: str, direction: str) -> Iterator[str]:
        before, after = list(_alternatives(old, self._old)), list(_alternatives(new, self._new))
        if len(before) == len(after) == 1:
            yield from self._alike(before[0], after[0], place, direction)
            return
        # What was possible has to stay so; what is possible in an answer has to have been so.
        for each in before if direction == ASKED else after:
            others = after if direction == ASKED else before
            pairs = [(each, other) if direction == ASKED else (other, each) for other in others]
            if all(any(self._alike(one, other, place, direction)) for one, other in pairs):
                yield f"{place} {'no longer takes' if direction == ASKED else 'may now be'} {_name(each)}"

    def _alike(self, old: Json, new: Json, place: str, direction: str) -> Iterator[str]:
        wide, narrow = (new, old) if direction == ASKED else (old, new)
        if not _holds(wide.get("type"), narrow.get("type")):
            yield f"{place} was {_name(old)} and is {_name(new)}"
            return
        yield from _values(old, new, place, direction)
        if direction == ASKED:
            yield from _limits(old, new, place)
        yield from self._properties(old, new, place, direction)
        if "items" in old and "items" in new:
            yield from self.breaks(old["items"], new["items"], f"{place}/*", direction)
        inner = (old.get("additionalProperties"), new.get("additionalProperties"))
        if isinstance(inner[0], Mapping) and isinstance(inner[1], Mapping):
            yield from self.breaks(inner[0], inner[1], f"{place}/*", direction)
        elif direction == ASKED and inner[1] is False and inner[0] is not False:
            yield f"{place} no longer takes other fields"

    def _properties(self, old: Json, new: Json, place: str, direction: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before.keys() - after.keys():
            yield f"{place}/{name} is gone"
        for name in before.keys() & after.keys():
            yield from self.breaks(before[name], after[name], f"{place}/{name}", direction)
        required = set(old.get("required", [])), set(new.get("required", []))
        if direction == ASKED:
            yield from (f"{place}/{name} is required" for name in required[1] - required[0])
        else:
            yield from (f"{place}/{name} may be absent" for name in (required[0] - required[1]) & after.keys())


def _spelled(schema: Schema) -> Json:
    # A field that is not to be there, such as a file in a text's form, is published as false.
    return schema if isinstance(schema, Mapping) else ({} if schema else {"type": "nothing"})


def _alternatives(schema: Json, named: Json) -> Iterator[Json]:
    if "$ref" in schema:
        yield from _alternatives(named[schema["$ref"].rpartition("/")[2]], named)
    elif "anyOf" in schema or "oneOf" in schema:
        for each in schema.get("anyOf", schema.get("oneOf")):
            yield from _alternatives(_spelled(each), named)
    elif isinstance(schema.get("type"), list):
        yield from ({**schema, "type": kind} for kind in schema["type"])
    else:
        yield schema


def _holds(wide: str | None, narrow: str | None) -> bool:
    return wide in (None, narrow) or (wide, narrow) == ("number", "integer")


def _values(old: Json, new: Json, place: str, direction: str) -> Iterator[str]:
    before, after = _enumerated(old), _enumerated(new)
    wide, narrow = (after, before) if direction == ASKED else (before, after)
    if wide is None:
        return
    if narrow is None:
        yield f"{place} is {'now' if direction == ASKED else 'no longer'} one of {sorted(map(str, wide))}"
        return
    # A client that tells answers apart by this field has no case for a value that is new.
    verb = "no longer takes" if direction == ASKED else "may now be"
    yield from (f"{place} {verb} {value!r}" for value in narrow if value not in wide)


def _enumerated(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _limits(old: Json, new: Json, place: str) -> Iterator[str]:
    for limit in _UPPER:
        if limit in new and (limit not in old or new[limit] < old[limit]):
            yield f"{place} has a {limit} of {new[limit]}, it was {old.get(limit, 'free')}"
    for limit in _LOWER:
        if limit in new and (limit not in old or new[limit] > old[limit]):
            yield f"{place} has a {limit} of {new[limit]}, it was {old.get(limit, 'free')}"
    for form in _FORMS:
        if form in new and new[form] != old.get(form):
            yield f"{place} has another {form}: {new[form]}"


def _name(schema: Json) -> str:
    return str(schema.get("title") or schema.get("type") or "anything")
