"""Answers on their way out."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from sanic import Request
from sanic.response import HTTPResponse

from server.openapi.models import Answer

# On a kept answer, never on one that goes out: what a handler that streams is to tell again.
TOLD_AGAIN = "x-told-again"


class _Answered(HTTPResponse):
    """Its headers are written the short way where nothing has to be taken out of them: most of them are, each time."""

    __slots__ = ()

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        self.headers.setdefault("content-type", self.content_type)
        written = [(name, str(value)) for name, value in self.headers.items()]
        if not all(value.isascii() and value.isprintable() for _, value in written):
            return super().processed_headers
        return iter([(_name(name), value.encode("ascii")) for name, value in written])


@lru_cache(maxsize=256)
def _name(header: str) -> bytes:
    return header.encode("ascii").translate(None, b"\r\n\0")


def answered(answer: Answer, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """Return the response for `answer`, written by pydantic's own serializer."""
    return _Answered(answer.written, status=status, headers=dict(headers or {}), content_type="application/json")


async def settled(request: Request, answer: HTTPResponse) -> None:
    """Commit the request's transaction before the handler ends, because what it still waits for needs the commit.

    `answer` is what a retry with the same Idempotency-Key is told if this process ends before the handler does.
    """
    await request.ctx.effect.settle(answer)


async def settled_stream(request: Request, answer: HTTPResponse, *, told: str) -> None:
    """Commit as `settled`, before a handler that answers piece by piece begins to.

    A retry with the same Idempotency-Key calls the handler again: `told_again` returns `told` then.
    """
    answer.headers[TOLD_AGAIN] = told
    await settled(request, answer)


def told_again(request: Request) -> str | None:
    """Return what an earlier request with this Idempotency-Key told: the handler is to tell it again, no more."""
    told: str | None = getattr(request.ctx, "told_again", None)
    return told
