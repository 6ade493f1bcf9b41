"""Operations: what a route takes, answers and demands, read off its handler's signature."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from sanic.response import HTTPResponse

from core.errors import (
    ApiError,
    AuthenticationFailed,
    AuthorizationFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)
from server.openapi.models import Answer, QueryString, RequestBody

Handler = Callable[..., Awaitable[HTTPResponse]]


@dataclass(frozen=True, slots=True)
class Requires:
    """The scope a handler's caller must have: `owner: Annotated[Principal, Requires("rag:read")]`."""

    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeader:
    """A header the operation understands; the handler reads it."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path. `caller` names the handler's argument that takes the principal."""

    name: str
    tag: str
    method: str
    path: str
    handler: Handler
    summary: str
    description: str
    answers: Mapping[int, type[Answer]]
    errors: tuple[type[ApiError], ...]
    headers: tuple[RequestHeader, ...]
    path_parameters: tuple[str, ...]
    caller: str | None
    scope: str | None
    query: type[QueryString] | None
    bodies: Mapping[str, type[RequestBody]]

    @property
    def all_errors(self) -> list[type[ApiError]]:
        """Every error it may answer with: those it states and those its signature implies."""
        implied: list[type[ApiError]] = []
        if self.scope is not None:
            implied += [ValidationFailed, AuthenticationFailed, AuthorizationFailed]
        if self.query is not None:
            implied += [ValidationFailed]
        if self.bodies:
            implied += [ValidationFailed, PayloadTooLarge, UnsupportedMediaType]
        return sorted({*implied, *self.errors}, key=lambda error: (error.status, error.code))


class Operations:
    """The operations of one room, under one prefix."""

    def __init__(self, tag: str, prefix: str = "") -> None:
        self._tag = tag
        self._prefix = prefix
        self._operations: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def operation(
        self,
        method: str,
        path: str,
        *,
        answers: Mapping[int, type[Answer]],
        errors: Sequence[type[ApiError]] = (),
        headers: Sequence[RequestHeader] = (),
    ) -> Callable[[Handler], Handler]:
        """Register the decorated handler. Its first docstring line is the summary, the rest the description."""

        def register(handler: Handler) -> Handler:
            summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
            self._operations.append(
                Operation(
                    name=handler.__name__,
                    tag=self._tag,
                    method=method,
                    path=self._prefix + path,
                    handler=handler,
                    summary=summary,
                    description=description.strip(),
                    answers=answers,
                    errors=tuple(errors),
                    headers=tuple(headers),
                    path_parameters=tuple(re.findall(r"{(\w+)}", path)),
                    **_signature(handler),
                )
            )
            return handler

        return register


def _signature(handler: Handler) -> dict[str, Any]:
    hints = get_type_hints(handler, include_extras=True)
    caller = scope = None
    for name, hint in hints.items():
        for mark in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
            if isinstance(mark, Requires):
                caller, scope = name, mark.scope
    bodies = {model.media_type: model for model in _members(hints.get("body"))}
    return {"caller": caller, "scope": scope, "query": hints.get("query"), "bodies": bodies}


def _members(hint: Any) -> Sequence[type[RequestBody]]:
    if hint is None:
        return ()
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
