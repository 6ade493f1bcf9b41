"""What in a new document would break clients of an old one: what they send must do, what they get must be there."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.openapi.compatible_schemas import ANSWERED, ASKED, Schemas

Json = Mapping[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")


def breaks(old: Json, new: Json) -> list[str]:
    """Return every break as `METHOD path: what`, sorted. Additions are none: clients ignore what they do not know."""
    found: set[str] = set()
    schemas = Schemas(old, new)
    for name, before in _operations(old).items():
        after = _operations(new).get(name)
        faults = _operation(before, after, schemas) if after is not None else iter(["the operation is gone"])
        found |= {f"{name}: {fault}" for fault in faults}
    return sorted(found)


def _operations(document: Json) -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": described
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if method in _METHODS
    }


def _operation(old: Json, new: Json, schemas: Schemas) -> Iterator[str]:
    yield from _security(old.get("security", []), new.get("security", []))
    yield from _parameters(old, new, schemas)
    yield from _request(old.get("requestBody"), new.get("requestBody"), schemas)
    for status, before in old["responses"].items():
        after = new["responses"].get(status)
        if after is None:
            yield f"answer {status} is gone"
            continue
        for header in before.get("headers", {}).keys() - after.get("headers", {}).keys():
            yield f"answer {status} has lost the header {header}"
        yield from _content(before.get("content", {}), after.get("content", {}), f"answer {status}", ANSWERED, schemas)


def _security(old: list[Json], new: list[Json]) -> Iterator[str]:
    if not old and new:
        yield "a credential is demanded"
    for way in old if new else ():
        if not any(_suffices(way, demanded) for demanded in new):
            yield f"{' and '.join(sorted(way))} with {_scopes(way)} no longer suffices"


def _suffices(given: Json, demanded: Json) -> bool:
    return demanded.keys() <= given.keys() and all(set(demanded[name]) <= set(given[name]) for name in demanded)


def _scopes(way: Json) -> str:
    return ", ".join(sorted({scope for scopes in way.values() for scope in scopes})) or "no scope"


def _parameters(old: Json, new: Json, schemas: Schemas) -> Iterator[str]:
    before, after = _by_place(old), _by_place(new)
    for place in before.keys() - after.keys():
        yield f"{place} is gone"
    for place, parameter in after.items():
        if parameter.get("required") and not before.get(place, {}).get("required"):
            yield f"{place} is required"
        if place in before:
            yield from schemas.breaks(before[place]["schema"], parameter["schema"], place, ASKED)


def _by_place(operation: Json) -> dict[str, Json]:
    return {f"{parameter['in']} {parameter['name']}": parameter for parameter in operation.get("parameters", [])}


def _request(old: Json | None, new: Json | None, schemas: Schemas) -> Iterator[str]:
    if new is not None and new.get("required") and not (old or {}).get("required"):
        yield "a body is required"
    if old is not None and new is None:
        yield "the body is gone"
    if old is not None and new is not None:
        yield from _content(old["content"], new["content"], "body", ASKED, schemas)


def _content(old: Json, new: Json, place: str, direction: str, schemas: Schemas) -> Iterator[str]:
    for media_type, before in old.items():
        if media_type not in new:
            yield f"{place} is no longer {media_type}"
            continue
        yield from schemas.breaks(before["schema"], new[media_type]["schema"], f"{place} {media_type}", direction)
