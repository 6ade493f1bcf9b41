"""Serve a deprecated version: the current operations at its paths, until its day, and each answer saying so."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sanic import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from core.clock import Clock
from server.errors import VersionEnded
from server.openapi.registry import Operation
from server.openapi.versions import CURRENT, DeprecatedVersion

Endpoint = Callable[..., Coroutine[Any, Any, HTTPResponse | None]]
Tell = Callable[[Request, BaseHTTPResponse], None]

# What the API reference knew before v1. The bodies are those of v1: see docs/decisions/0009.
NAMES_IN_V0 = frozenset({"ingest", "query_documents"})


def adapted(operations: Iterable[Operation], version: DeprecatedVersion) -> Mapping[str, Operation]:
    """Return the operations of `version` by the path that succeeds each."""
    return {
        operation.path: replace(
            operation,
            name=f"{operation.name}_{version.name}",
            path=operation.path.replace(f"/api/{CURRENT}/", version.prefix, 1),
        )
        for operation in operations
        if operation.name in NAMES_IN_V0
    }


def until_sunset(endpoint: Endpoint, version: DeprecatedVersion, *, successor: str, clock: Clock) -> Endpoint:
    """Return `endpoint` as it is until the version's last moment, and a refusal from then on."""

    async def handle(request: Request, **path: str) -> HTTPResponse | None:
        if clock.now() >= version.sunset_at:
            raise VersionEnded(
                f"{version.name} of the API ended on {version.sunset_at:%Y-%m-%d}. Use {successor}.",
                successor=successor,
            )
        return await endpoint(request, **path)

    # See server.middleware.endpoint: bodies are read by ourselves.
    handle.is_stream = True  # type: ignore[attr-defined]
    return handle


def telling(version: DeprecatedVersion, successors: Mapping[str, str]) -> Tell:
    """Return what puts the dates on every answer below the version's paths, refusals too.

    `successors` names the path that comes after each of the version's; what it does not know has the version itself.
    """

    def tell(request: Request, response: BaseHTTPResponse) -> None:
        if request.path.startswith(version.prefix):
            response.headers.update(version.headers(successors.get(request.path, f"/api/{CURRENT}")))

    return tell
