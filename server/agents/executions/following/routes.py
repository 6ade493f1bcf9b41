"""The operation by which executions are followed over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import ResourceNotFound, ValidationFailed
from server.agents.executions.following.schemas import ExecutionEvent, ExecutionEventPage, FollowQuery
from server.auth.principal import AgentReader
from server.openapi.answers import answered
from server.openapi.models import LARGEST_NUMBER
from server.openapi.registry import Operations, RequestHeader
from server.sse import MEDIA_TYPE, Event, streamed

if TYPE_CHECKING:
    from core.ids import TenantId
    from server.agents.executions.following.service import Followers

following = Operations("agents", "/api/v1/agents")

_LAST_EVENT_ID = "last-event-id"


def followers_of(request: Request) -> "Followers":
    followers: Followers = request.app.ctx.parts.followers
    return followers


@following.operation(
    "GET",
    "/executions/{execution_id}/events",
    answers={200: ExecutionEventPage},
    streams=True,
    errors=[ResourceNotFound],
    headers=[
        RequestHeader(name="Last-Event-ID", description="The number behind which to go on.", pattern="^[0-9]{1,15}$")
    ],
)
async def follow_execution(
    request: Request, owner: AgentReader, execution_id: str, query: FollowQuery
) -> HTTPResponse | None:
    """Show what an execution told, or follow it.

    With `Accept: text/event-stream` the answer goes on until the execution is over; each event's id is its number. Cut
    off, go on with `Last-Event-ID` here or at any other process: nothing is missing, and nothing comes twice.
    """
    after = _last_event_id(request)
    after = query.after if after is None else after
    followers = followers_of(request)
    if MEDIA_TYPE in request.headers.get("accept", ""):
        await follow(request, owner.tenant_id, execution_id, after)
        return None
    news = await followers.page(owner.tenant_id, execution_id, after=after, limit=query.limit)
    assert news.standing is not None
    return answered(
        ExecutionEventPage(
            items=[ExecutionEvent(**json.loads(event.written())) for event in news.events],
            limit=query.limit,
            has_more=news.more,
            next_after=news.events[-1].seq if news.events else after,
            status=news.standing.state,
            last_seq=news.standing.last_seq,
        )
    )


async def follow(request: Request, tenant_id: "TenantId", execution_id: str, after: int = 0) -> None:
    """Answer with what the execution tells behind the number `after`, until it is over. Raises ResourceNotFound."""
    followers = followers_of(request)
    await followers.page(tenant_id, execution_id, after=after, limit=0)
    await streamed(request, _told(followers, tenant_id, execution_id, after), at_once=True)


async def _told(followers: "Followers", tenant_id: "TenantId", execution_id: str, after: int) -> AsyncIterator[Event]:
    """Yield what the execution tells as server-sent events."""
    async with aclosing(followers.follow(tenant_id, execution_id, after=after)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            for event in piece:
                yield Event(name=event.type, data=event.written().encode(), number=event.seq)


def _last_event_id(request: Request) -> int | None:
    given = request.headers.getall(_LAST_EVENT_ID, [])
    if not given:
        return None
    if len(given) > 1 or not (given[0].isascii() and given[0].isdigit() and len(given[0]) <= len(str(LARGEST_NUMBER))):
        raise ValidationFailed("Last-Event-ID should be the number of an event.", violations=[])
    return int(given[0])
