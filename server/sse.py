"""Answers that come piece by piece: server-sent events, as the HTML standard has them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from contextvars import Context
from dataclasses import dataclass
from typing import NoReturn

from sanic import Request

from core.errors import ApiError
from core.log import get_logger
from server.errors import envelope, request_id_of
from server.openapi.models import Answer

log = get_logger()

MEDIA_TYPE = "text/event-stream"
# Proxies take a connection without a word for a dead one after half a minute or more.
_SILENCE_SECONDS = 15.0
# A credential that has ended is known within 3.5 seconds; what is told to it ends within five.
_LOOK_AT_CREDENTIAL_SECONDS = 1.0
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`number` is the id by which a client goes on from here; None: as many as were sent before it, from 1."""

    name: str
    data: Answer | bytes
    number: int | None = None


async def streamed(request: Request, events: AsyncIterator[Event], *, at_once: bool = False) -> None:
    """Send `events` as they come; a comment whenever there was none for a while.

    What fails before the first is an error like any other, unless the answer begins `at_once`: the first may be long
    in coming. What fails later is told as an event `error`, the last one; it has no number that one could go on from.
    So does a credential that ends meanwhile.
    """
    async with aclosing(_heard(events, until=until_ended(request), begun=at_once)) as heard:  # type: ignore[type-var]
        first = None if at_once else await anext(heard)
        response = await request.respond(content_type=MEDIA_TYPE, headers=_HEADERS)
        await response.send(_written(1, first))
        sent = 0 if first is None else 1
        try:
            async for event in heard:
                sent += event is not None
                await response.send(_written(sent, event))
        except ApiError as error:
            await response.send(_written(None, _failure(request, error)))
        except Exception:
            log.exception("stream.failed")
            await response.send(_written(None, _failure(request, ApiError("Something went wrong on our side."))))
        await response.eof()


async def until_ended(request: Request) -> NoReturn:
    """Look again and again whether who asked still may. Raises AuthenticationFailed, AuthorizationFailed once not."""
    look: Callable[[], Awaitable[None]] | None = getattr(request.ctx, "look_again", None)
    while True:
        await asyncio.sleep(_LOOK_AT_CREDENTIAL_SECONDS)
        try:
            if look is not None:
                await look()
        except ApiError as error:
            if error.status < 500:
                raise
            log.warning("stream.credential_unknown", error=error.message)  # what is away says nothing about it


async def _heard(
    events: AsyncIterator[Event], *, until: Coroutine[None, None, NoReturn], begun: bool
) -> AsyncIterator[Event | None]:
    """Yield `events`, and None whenever none has come for a while after the first, or from the start if `begun`."""
    # In a context of its own: tasks must not share a unit of work.
    ending = asyncio.get_running_loop().create_task(until, context=Context())
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait(
                [coming, ending], timeout=_SILENCE_SECONDS if begun else None, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                ending.result()
            if not done:
                yield None
                continue
            try:
                event = coming.result()
            except StopAsyncIteration:
                return
            begun = True
            yield event
            coming = asyncio.ensure_future(anext(events))
    finally:
        ending.cancel()
        coming.cancel()
        await asyncio.gather(coming, ending, return_exceptions=True)


def _failure(request: Request, error: ApiError) -> Event:
    return Event(name="error", data=envelope(error, request_id_of(request)))


def _written(sent: int | None, event: Event | None) -> str:
    if event is None:
        return ": still here\n\n"
    number = sent if event.number is None else event.number
    data = (event.data.written if isinstance(event.data, Answer) else event.data).decode()
    return f"{'' if number is None else f'id: {number}{chr(10)}'}event: {event.name}\ndata: {data}\n\n"
