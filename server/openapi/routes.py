"""The published document and its page for people, both written once when the server starts."""

from typing import ClassVar

from pydantic import ConfigDict
from sanic import Request
from sanic.response import HTTPResponse

from server.openapi.models import Answer
from server.openapi.page import policy
from server.openapi.registry import Operations


class OpenApiDocument(Answer):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


class HtmlPage(Answer):
    media_type: ClassVar[str] = "text/html"


openapi = Operations("openapi")


@openapi.operation("GET", "/openapi.json", answers={200: OpenApiDocument}, limited=False)
async def get_openapi(request: Request) -> HTTPResponse:
    """Describe this API."""
    return HTTPResponse(request.app.ctx.openapi, content_type="application/json")


@openapi.operation("GET", "/docs", answers={200: HtmlPage}, limited=False)
async def get_docs(request: Request) -> HTTPResponse:
    """Describe this API to people, on one page."""
    headers = {
        "content-security-policy": policy(),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    return HTTPResponse(request.app.ctx.docs, headers=headers, content_type="text/html; charset=utf-8")
