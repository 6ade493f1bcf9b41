"""Answers that come piece by piece: server-sent events, as the HTML standard has them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from sanic import Request

from core.errors import ApiError
from core.log import get_logger
from server.errors import envelope, request_id_of
from server.openapi.models import Answer

log = get_logger()

MEDIA_TYPE = "text/event-stream"
# Proxies take a connection without a word for a dead one after half a minute or more.
_SILENCE_SECONDS = 15.0
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
    """
    async with aclosing(_heard(events, begun=at_once)) as heard:  # type: ignore[type-var]
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


async def _heard(events: AsyncIterator[Event], *, begun: bool) -> AsyncIterator[Event | None]:
    """Yield `events`, and None whenever none has come for a while after the first, or from the start if `begun`."""
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=_SILENCE_SECONDS if begun else None)
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
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _failure(request: Request, error: ApiError) -> Event:
    return Event(name="error", data=envelope(error, request_id_of(request)))


def _written(sent: int | None, event: Event | None) -> str:
    if event is None:
        return ": still here\n\n"
    number = sent if event.number is None else event.number
    data = (event.data.written if isinstance(event.data, Answer) else event.data).decode()
    return f"{'' if number is None else f'id: {number}{chr(10)}'}event: {event.name}\ndata: {data}\n\n"
