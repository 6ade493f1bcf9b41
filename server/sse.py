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
    name: str
    data: Answer | bytes


async def streamed(request: Request, events: AsyncIterator[Event]) -> None:
    """Send `events` as they come, numbered from 1; a comment whenever there was none for a while.

    What fails before the first is an error like any other. What fails later is told as an event `error`, the last one.
    """
    async with aclosing(_heard(events)) as heard:  # type: ignore[type-var]
        first = await anext(heard)
        response = await request.respond(content_type=MEDIA_TYPE, headers=_HEADERS)
        await response.send(_written(1, first))
        number = 1
        try:
            async for event in heard:
                if event is None:
                    await response.send(": still here\n\n")
                    continue
                number += 1
                await response.send(_written(number, event))
        except ApiError as error:
            await response.send(_written(number + 1, _failure(request, error)))
        except Exception:
            log.exception("stream.failed")
            await response.send(_written(number + 1, _failure(request, ApiError("Something went wrong on our side."))))
        await response.eof()


async def _heard(events: AsyncIterator[Event]) -> AsyncIterator[Event | None]:
    """Yield `events`, and None whenever none has come for a while after the first."""
    begun = False
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


def _written(number: int, event: Event | None) -> str:
    assert event is not None
    data = (event.data.written if isinstance(event.data, Answer) else event.data).decode()
    return f"id: {number}\nevent: {event.name}\ndata: {data}\n\n"
