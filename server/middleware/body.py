"""Read a body: no longer than allowed, no more at once than fits in memory, and only as what the operation takes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import ValidationError
from sanic import Request
from sanic.http import Http

from core.errors import PayloadTooLarge, ServiceUnavailable, UnsupportedMediaType, ValidationFailed
from server.errors import RequestTimedOut
from server.middleware import multipart, strict_json
from server.openapi.models import JSON, NDJSON, FormBody, RawBody, RequestBody, Upload
from server.openapi.violations import violations_of

# Bodies up to this size are read at once; longer ones wait for room in the budget.
_SMALL_BYTES = 1024 * 1024
_BUDGET_WAIT_SECONDS = 10.0
# A sender slower than this is cut off; a fixed share on top covers the round trips.
_SLOWEST_BYTES_PER_SECOND = 64 * 1024
_PATIENCE_SECONDS = 30.0


# Of raw bodies, all together. Whoever may send them is known only when they are read: they crowd out nobody else's.
_RAW_BYTES = 100 * 1024 * 1024


class Room:
    """So many bytes of long bodies are held at once; more wait a moment."""

    def __init__(self, free_bytes: int) -> None:
        self._free_bytes = free_bytes
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def held(self, wanted: int) -> AsyncIterator[None]:
        """Raises ServiceUnavailable."""
        if wanted <= _SMALL_BYTES:
            yield
            return
        try:
            async with asyncio.timeout(_BUDGET_WAIT_SECONDS), self._freed:
                await self._freed.wait_for(lambda: self._free_bytes >= wanted)
                self._free_bytes -= wanted
        except TimeoutError:
            raise ServiceUnavailable("Too many large uploads are under way. Try again in a moment.") from None
        try:
            yield
        finally:
            async with self._freed:
                self._free_bytes += wanted
                self._freed.notify_all()


class BodyReader:
    """One a process. `max_bytes` bounds one body, four times that all that are being read at the same time."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._room = Room(4 * max_bytes)
        self._raw_room = Room(_RAW_BYTES)

    async def read(self, request: Request, bodies: Mapping[str, type[RequestBody]]) -> RequestBody:
        """Return the body as the model for its media type. Raises the ApiErrors of malformed requests."""
        media_type = self._media_type(request, bodies)
        model = bodies[media_type]
        if issubclass(model, RawBody):
            return await self._raw(request, model)
        expected = _expected_bytes(request, self._max_bytes)
        async with self._room.held(expected):
            raw = await _receive(request, expected, self._max_bytes)
            if media_type == JSON:
                return _validated(model, strict_json.parse(raw))
            if media_type == NDJSON:
                return _validated(model, {"items": strict_json.parse_lines(raw)})
            parts = multipart.parse(raw, multipart.boundary_of(request.headers["content-type"]))
            raw.clear()
        assert issubclass(model, FormBody)
        return _validated(model, _fields(model, parts))

    async def _raw(self, request: Request, model: type[RawBody]) -> RawBody:
        model.admit(request)
        expected = _expected_bytes(request, model.max_bytes)
        async with self._raw_room.held(expected):
            return model(content=bytes(await _receive(request, expected, model.max_bytes)))

    async def pass_over(self, request: Request) -> None:
        """Read what an operation that takes no body was sent all the same. Raises PayloadTooLarge, RequestTimedOut.

        Left on the connection it would be read only behind the answer, with a fault that nobody is told of.
        """
        stream = cast(Http, request.stream)
        if not stream.request_body:
            return
        received = 0
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                async for piece in stream:
                    received += len(piece)
                    if received > _SMALL_BYTES:
                        message = f"No body is read here, and none longer than {_SMALL_BYTES} bytes is passed over."
                        raise PayloadTooLarge(message, limit_bytes=_SMALL_BYTES)
        except TimeoutError:
            raise RequestTimedOut("The request body did not arrive in time.") from None

    def _media_type(self, request: Request, bodies: Mapping[str, type[RequestBody]]) -> str:
        given = request.headers.getall("content-type", [])
        media_type = given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""
        encoded = request.headers.get("content-encoding", "identity").lower() != "identity"
        if media_type not in bodies or encoded:
            accepted = sorted(bodies)
            raise UnsupportedMediaType(f"Send the body, unpacked, as {' or '.join(accepted)}.", accepted=accepted)
        return media_type


def _expected_bytes(request: Request, most: int) -> int:
    """Return how many bytes may come. Raises PayloadTooLarge before the first is read, if the header says so."""
    header = request.headers.get("content-length")
    expected = int(header) if header is not None else most  # the framework has checked the digits
    if expected > most:
        raise _too_large(most)
    return expected


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is longer than {most} bytes.", limit_bytes=most)


async def _receive(request: Request, expected: int, most: int) -> bytearray:
    raw = bytearray()
    stream = cast(Http, request.stream)  # the only kind there is outside of ASGI
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS + expected / _SLOWEST_BYTES_PER_SECOND):
            async for received in stream:
                raw += received
                if len(raw) > most:
                    raise _too_large(most)
    except TimeoutError:
        raise RequestTimedOut("The request body did not arrive in time.") from None
    return raw


def _validated(model: type[RequestBody], value: Any) -> RequestBody:
    if not isinstance(value, dict):
        raise _invalid([{"pointer": "", "message": "The body should be a JSON object"}])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(violations_of(error)) from None


def _fields(model: type[FormBody], parts: list[multipart.Part]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    violations: list[dict[str, str]] = []
    for part in parts:
        pointer = f"/{part.name}"
        if part.name in fields:
            violations.append({"pointer": pointer, "message": "The part occurs twice"})
        elif part.file_name is not None:
            fields[part.name] = Upload(name=part.file_name, content=part.content)
        else:
            try:
                fields[part.name] = _value(part, as_json=part.name in model.json_parts)
            except ValidationFailed as failed:
                violations += [{**fault, "pointer": pointer} for fault in failed.details["violations"]]
                fields[part.name] = None
    if violations:
        raise _invalid(violations)
    return fields


def _value(part: multipart.Part, *, as_json: bool) -> Any:
    if as_json:
        return strict_json.parse(part.content)
    try:
        text = part.content.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid([{"pointer": "", "message": "The text is not UTF-8"}]) from None
    if "\0" in text:
        raise _invalid([{"pointer": "", "message": "The text contains the character NUL"}])
    return text


def _invalid(violations: list[dict[str, str]]) -> ValidationFailed:
    return ValidationFailed("The request is not valid.", violations=violations)
