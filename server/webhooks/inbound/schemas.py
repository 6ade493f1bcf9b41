"""What comes in, read byte for byte, and what is answered."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qs

from pydantic import ConfigDict, Field

from core.errors import ValidationFailed
from server.openapi.models import JSON, Answer, QueryString, RawBody
from server.webhooks.inbound.github import check_form

if TYPE_CHECKING:
    from sanic import Request

SIGNATURE_HEADER = "x-hub-signature-256"
# What GitHub sends unless its owner says JSON: the JSON in one field.
_FORM = "application/x-www-form-urlencoded"
# GitHub sends no more.
_MOST_BYTES = 25 * 1024 * 1024


def _any_object(schema: dict[str, Any]) -> None:
    title = schema["title"]
    schema.clear()
    schema |= {"title": title, "type": "object", "description": "As GitHub sends it; most of it is not looked at."}


class GitHubEvent(RawBody):
    model_config = ConfigDict(json_schema_extra=_any_object)

    media_type = JSON
    max_bytes: ClassVar[int] = _MOST_BYTES

    @classmethod
    def admit(cls, request: "Request") -> None:
        """Raises AuthenticationFailed: what cannot be signed is not waited for."""
        check_form(request.headers.getall(SIGNATURE_HEADER, []))

    def payload(self) -> bytes:
        """Return the JSON that was sent. Raises ValidationFailed."""
        return self.content


def _form(schema: dict[str, Any]) -> None:
    title = schema["title"]
    schema.clear()
    payload = {"type": "string", "description": "The JSON."}
    schema |= {"title": title, "type": "object", "required": ["payload"], "properties": {"payload": payload}}


class GitHubForm(GitHubEvent):
    model_config = ConfigDict(json_schema_extra=_form)

    media_type = _FORM

    def payload(self) -> bytes:
        try:
            [payload] = parse_qs(self.content, strict_parsing=True, max_num_fields=10)[b"payload"]
        except (ValueError, KeyError):
            raise ValidationFailed("The form should have one field, payload, with the JSON.", violations=[]) from None
        return payload


class GitHubQuery(QueryString):
    source_id: str = Field(max_length=100, description="Which source the repository is.")


class Taken(Answer):
    """`accepted`: the source is crawled next. `ignored`: a push that is nothing to it, or no push."""

    state: Literal["accepted", "repeated", "ignored", "pong"]
    message: str
