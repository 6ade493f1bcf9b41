"""The room's one operation."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import IndexVersionGone, ResourceNotFound, ServiceUnavailable, ValidationFailed
from server.auth.principal import Principal, RagReader
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.rag.answers.schemas import AnswerRequest, Citation, Delta, GroundedAnswer, Retrieved
from server.sse import Event, streamed

if TYPE_CHECKING:
    from server.rag.answers.service import Answers

answers = Operations("rag", "/api/v1/rag")

_NAMES = {Retrieved: "retrieved", Delta: "delta", Citation: "citation", GroundedAnswer: "done"}


@answers.operation(
    "POST",
    "/answer",
    answers={200: GroundedAnswer},
    streams=True,
    errors=[ServiceUnavailable, ResourceNotFound, IndexVersionGone],
)
async def answer_question(request: Request, owner: RagReader, body: AnswerRequest) -> HTTPResponse | None:
    """Answer a question in words, each sentence proved by a quote.

    Every quote stands in its chunk letter by letter. Where the passages do not answer with enough confidence, the
    answer abstains and says why. With `stream` the same comes as server-sent events: `retrieved`, then `delta` and
    `citation` in turn, and `done` with the whole answer, or `error` with the envelope. A stream takes no
    Idempotency-Key.
    """
    service: Answers = request.app.ctx.parts.answers
    if not body.stream:
        return answered(await service.answer(owner, body))
    if "idempotency-key" in request.headers:
        raise ValidationFailed("A stream is not kept for retries: leave out Idempotency-Key, or stream.", violations=[])
    await streamed(request, _events(service, owner, body))
    return None


async def _events(service: "Answers", owner: Principal, body: AnswerRequest) -> AsyncIterator[Event]:
    async for told in service.told(owner, body):
        yield Event(name=_NAMES[type(told)], data=told)
