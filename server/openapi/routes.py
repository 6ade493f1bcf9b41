"""The published document, written once when the server starts."""

from pydantic import ConfigDict
from sanic import Request
from sanic.response import HTTPResponse

from server.openapi.models import Answer
from server.openapi.registry import Operations


class OpenApiDocument(Answer):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


openapi = Operations("openapi")


@openapi.operation("GET", "/openapi.json", answers={200: OpenApiDocument}, limited=False)
async def get_openapi(request: Request) -> HTTPResponse:
    """Describe this API."""
    return HTTPResponse(request.app.ctx.openapi, content_type="application/json")
