"""The way from the door to a handler, read off the registry: who asks, may they, what do they ask, was it done before.

The order is deliberate: a body is read only for somebody who may send it, and only what was understood is compared
with what was asked before.
"""

import re
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic import ValidationError
from sanic import Request
from sanic.response import HTTPResponse

from core import tracing
from core.errors import ApiError, AuthenticationFailed, AuthorizationFailed, ValidationFailed
from server.auth.principal import Principal
from server.middleware.authenticate import Authenticator, permit
from server.middleware.body import BodyReader
from server.middleware.idempotency import Effects
from server.middleware.rate_limit import RateLimit
from server.openapi.models import QueryString
from server.openapi.registry import InPath, Operation, Requires
from server.openapi.violations import violations_of
from server.telemetry import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """What stands between the door and the rooms, made once a process."""

    authenticate: Authenticator
    rate_limit: RateLimit
    bodies: BodyReader
    effects: Effects

    async def admit(self, request: Request, operation: Operation) -> Principal | None:
        """Return who asks, None where anybody may. Raises the ApiErrors of those who may not, or not so often."""
        if operation.requires is None:
            await self.rate_limit.count(request, operation, None)
            return None
        try:
            principal = await self.authenticate(request)
        except (AuthenticationFailed, AuthorizationFailed, ValidationFailed):
            await self.rate_limit.count(request, operation, None)  # guessing is counted to where it comes from
            raise
        request.ctx.principal = principal
        await self.rate_limit.count(request, operation, principal)
        permit(principal, operation.requires)
        request.ctx.look_again = partial(self._look_again, request, operation.requires)
        return principal

    async def _look_again(self, request: Request, requires: Requires) -> None:
        """Raise what `admit` would raise now: what goes on for long ends with the credential."""
        permit(await self.authenticate(request), requires)


def endpoint(
    operation: Operation, hall_of: Callable[[Request], Hall]
) -> Callable[..., Coroutine[Any, Any, HTTPResponse | None]]:
    """Return the function that the router calls for `operation`."""

    async def handle(request: Request, **path: str) -> HTTPResponse | None:
        request.ctx.operation = operation
        traced = request.headers.getall("traceparent", [])
        with metrics.in_flight(), tracing.serving(operation.method, operation.path, traced) as tell:
            try:
                answer = await passed(request, path)
                if answer is not None:
                    tell(http__response__status_code=answer.status, failed=answer.status >= 500)
                return answer
            except ApiError as error:
                tell(http__response__status_code=error.status)
                request.ctx.error_code = error.code
                raise

    async def passed(request: Request, path: Mapping[str, str]) -> HTTPResponse | None:
        hall = hall_of(request)
        principal = await hall.admit(request, operation)
        given: dict[str, Any] = _path(path, operation.named)
        if operation.query is not None:
            given["query"] = _query(request.query_string, operation.query)
        if operation.bodies:
            given["body"] = await hall.bodies.read(request, operation.bodies)
        else:
            await hall.bodies.pass_over(request)
        caller = {operation.caller: principal} if operation.caller is not None else {}
        call = partial(operation.handler, request, **caller, **given)
        if not operation.has_effect:
            return await call()
        return await hall.effects.run(request, operation, principal, given, call)

    # The framework reads a body before it calls the function, unless the function says that it reads by itself.
    handle.is_stream = True  # type: ignore[attr-defined]
    return handle


def _path(given: Mapping[str, str], named: Mapping[str, InPath]) -> dict[str, Any]:
    """Return the parameters, those that are named decoded. Raises ValidationFailed."""
    read = {name: unquote(value, errors="replace") if name in named else value for name, value in given.items()}
    faults = [
        {"pointer": f"/{name}", "message": wanted.message}
        for name, wanted in named.items()
        if len(read[name]) > wanted.longest or not re.fullmatch(wanted.pattern, read[name])
    ]
    if faults:
        raise ValidationFailed("The request is not valid.", violations=faults)
    return dict(read)


@lru_cache(maxsize=512)
def _query(query_string: str, model: type[QueryString]) -> QueryString:
    # Clients turn to the same few lists again and again; what is refused is not remembered.
    given = parse_qsl(query_string, keep_blank_values=True, errors="surrogateescape")
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
