"""Operations: what a route takes, answers and demands, read off its handler's signature."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from sanic.response import HTTPResponse

from core.errors import (
    ApiError,
    AuthenticationFailed,
    AuthorizationFailed,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    PayloadTooLarge,
    RateLimitExceeded,
    ServiceUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from server.openapi.models import Answer, QueryString, RequestBody

# None has answered already, piece by piece.
Handler = Callable[..., Awaitable[HTTPResponse | None]]


@dataclass(frozen=True, slots=True)
class Requires:
    """What a handler's caller must have: `owner: Annotated[Principal, Requires("rag:read")]`.

    No scope means that any valid credential will do. `person` refuses keys: only somebody in a session may.
    """

    scope: str | None
    person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InPath:
    """What a parameter of the path is, where it is no id: `key: Annotated[str, InPath(pattern="…", longest=255)]`.

    It may hold slashes, as they are or percent-encoded. The word of a route that ends in one, such as
    `/{key}/versions`, is read as that route's wherever a plain slash stands before it; an encoded one makes it part
    of the parameter.
    """

    pattern: str
    longest: int
    message: str


class Keyed(StrEnum):
    """What an operation makes of an Idempotency-Key."""

    ACCEPTED = "accepted"
    REQUIRED = "required"
    # Answers that are a session are never kept, not even sealed.
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeader:
    """A header the operation understands; the handler reads it."""

    name: str
    description: str
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path. `caller` names the handler's argument that takes the principal.

    `limited` operations count against the caller's rate limit; those that are `closed` answer nothing while that cannot
    be counted for all processes together. `has_effect` ones run as one unit of work.
    `streams` ones can answer 200 as server-sent events too.
    """

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
    named: Mapping[str, InPath]
    caller: str | None
    requires: Requires | None
    keyed: Keyed
    limited: bool
    closed: bool
    streams: bool
    query: type[QueryString] | None
    bodies: Mapping[str, type[RequestBody]]

    @property
    def has_effect(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS")

    @property
    def route(self) -> str:
        """Return the path as the router spells it."""
        return re.sub(r"{(\w+)}", lambda found: f"<{found[1]}{':path' if found[1] in self.named else ''}>", self.path)

    @property
    def scope(self) -> str | None:
        return self.requires.scope if self.requires is not None else None

    @property
    def all_errors(self) -> list[type[ApiError]]:
        """Every error it may answer with: those it states and those its signature implies."""
        implied: list[type[ApiError]] = []
        if self.limited:
            implied += [RateLimitExceeded]
        if self.requires is not None:
            implied += [ValidationFailed, AuthenticationFailed, AuthorizationFailed, ServiceUnavailable]
        if self.has_effect and self.keyed is not Keyed.IGNORED:
            implied += [ValidationFailed, IdempotencyInProgress, IdempotencyKeyReused]
        if self.query is not None or self.named:
            implied += [ValidationFailed]
        if self.bodies:
            implied += [ValidationFailed, PayloadTooLarge, UnsupportedMediaType]
        return sorted({*implied, *self.errors}, key=lambda error: (error.status, error.code))


class Operations:
    """The operations of one room, under one prefix. `closed`: see `Operation`."""

    def __init__(self, tag: str, prefix: str = "", *, closed: bool = False) -> None:
        self._tag = tag
        self._prefix = prefix
        self._closed = closed
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
        keyed: Keyed = Keyed.ACCEPTED,
        limited: bool = True,
        streams: bool = False,
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
                    keyed=keyed,
                    limited=limited,
                    closed=self._closed,
                    streams=streams,
                    **_signature(handler),
                )
            )
            return handler

        return register


def _signature(handler: Handler) -> dict[str, Any]:
    hints = get_type_hints(handler, include_extras=True)
    caller = requires = None
    named: dict[str, InPath] = {}
    for name, hint in hints.items():
        for mark in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
            if isinstance(mark, Requires):
                caller, requires = name, mark
            if isinstance(mark, InPath):
                named[name] = mark
    bodies = {model.media_type: model for model in _members(hints.get("body"))}
    return {"caller": caller, "requires": requires, "named": named, "query": hints.get("query"), "bodies": bodies}


def _members(hint: Any) -> Sequence[type[RequestBody]]:
    if hint is None:
        return ()
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
