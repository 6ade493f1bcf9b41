"""Every error the platform answers with, by code: when, with which status, and from which operations."""

from collections.abc import Iterable, Iterator
from typing import Any

from core.errors import ApiError
from server.openapi.registry import Operation

Json = dict[str, Any]


def catalogue(operations: Iterable[Operation]) -> list[Json]:
    """Return one entry per code, in alphabetical order, of all errors that are loaded.

    A kind that inherits its code is told as what it is a kind of, unless an operation names it.
    """
    listed = list(operations)
    named = {error for operation in listed for error in operation.all_errors}
    entries: dict[str, Json] = {}
    for error in sorted(_errors(ApiError), key=lambda each: (each.code, each.status, each.__name__)):
        if error.status == 0 or ("code" not in vars(error) and error not in named):
            continue
        entry = entries.setdefault(error.code, {"code": error.code, "cases": []})
        entry["cases"].append(
            {
                "status": error.status,
                "when": " ".join((error.__doc__ or "").split()),
                "operations": sorted(operation.name for operation in listed if error in operation.all_errors),
            }
        )
    return list(entries.values())


def _errors(root: type[ApiError]) -> Iterator[type[ApiError]]:
    for error in root.__subclasses__():
        yield error
        yield from _errors(error)


def as_markdown(entries: Iterable[Json]) -> str:
    """Return the catalogue as a page."""
    lines = [
        "# Errors",
        "",
        "Written by `make artefacts` from the code. Every failure is answered with this envelope; with",
        "`Accept: application/problem+json` the same comes as problem details (RFC 9457).",
        "",
        "```json",
        '{"error": {"code": "RESOURCE_NOT_FOUND", "message": "…", "details": {}, "request_id": "…"}}',
        "```",
        "",
        "| code | status | when |",
        "|---|---|---|",
    ]
    for entry in entries:
        lines += [f"| `{entry['code']}` | {case['status']} | {case['when']} |" for case in entry["cases"]]
    return "\n".join(lines) + "\n"
