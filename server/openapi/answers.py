"""Answers on their way out."""

from collections.abc import Mapping

from sanic import Request
from sanic.response import HTTPResponse

from server.openapi.models import Answer


def answered(answer: Answer, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """Return the response for `answer`, written by pydantic's own serializer."""
    return HTTPResponse(answer.written, status=status, headers=dict(headers or {}), content_type="application/json")


async def settled(request: Request, answer: HTTPResponse) -> None:
    """Commit the request's transaction before the handler ends, because what it still waits for needs the commit.

    `answer` is what a retry with the same Idempotency-Key is told if this process ends before the handler does.
    """
    await request.ctx.effect.settle(answer)
