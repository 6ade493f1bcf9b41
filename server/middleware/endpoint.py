"""The way from the door to a handler: who is asking, then what they ask, then the room. Derived from the registry.

The order is deliberate: a body is read only for somebody who may send it, and rate limits and idempotency stand
between the two.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sanic import Request
from sanic.response import HTTPResponse

from core.errors import ValidationFailed
from server.middleware.authenticate import Authenticator
from server.middleware.body import BodyReader
from server.middleware.violations import violations_of
from server.openapi.models import QueryString
from server.openapi.registry import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """What stands between the door and the rooms, made once a process."""

    authenticate: Authenticator
    bodies: BodyReader


def endpoint(
    operation: Operation, hall_of: Callable[[Request], Hall]
) -> Callable[..., Coroutine[Any, Any, HTTPResponse]]:
    """Return the function that the router calls for `operation`."""

    async def handle(request: Request, **path: str) -> HTTPResponse:
        hall = hall_of(request)
        arguments: dict[str, Any] = dict(path)
        if operation.caller is not None and operation.scope is not None:
            arguments[operation.caller] = await hall.authenticate(request, operation.scope)
        if operation.query is not None:
            arguments["query"] = _query(request, operation.query)
        if operation.bodies:
            arguments["body"] = await hall.bodies.read(request, operation.bodies)
        return await operation.handler(request, **arguments)

    # The framework reads a body before it calls the function, unless the function says that it reads by itself.
    handle.is_stream = True  # type: ignore[attr-defined]
    return handle


def _query(request: Request, model: type[QueryString]) -> QueryString:
    given = request.get_query_args(keep_blank_values=True, errors="surrogateescape")
    times = Counter(name for name, _ in given)
    faults = [
        {"pointer": f"/{name}", "message": "The parameter occurs twice"} for name, count in times.items() if count > 1
    ]
    faults += [
        {"pointer": f"/{name}", "message": "The value is not acceptable text"}
        for name, value in given
        if "\0" in value or not _is_text(value)
    ]
    if faults:
        raise ValidationFailed("The request is not valid.", violations=faults)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ValidationFailed("The request is not valid.", violations=violations_of(error)) from None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
