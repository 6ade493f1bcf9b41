"""Answers on their way out."""

from collections.abc import Mapping

from sanic.response import HTTPResponse

from server.openapi.models import Answer


def answered(answer: Answer, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """Return the response for `answer`, written by pydantic's own serializer."""
    return HTTPResponse(
        answer.model_dump_json(), status=status, headers=dict(headers or {}), content_type="application/json"
    )
