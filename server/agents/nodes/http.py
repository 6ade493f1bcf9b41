"""http: one request to another system, through the guarded way out."""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from pydantic import Field, model_validator

from server.agents.flow import templates
from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, Done, Effect, NodeConfig, NodeFailed, Step, Usage
from server.agents.nodes.headers import Headers, sent
from server.agents.nodes.ports import Portless
from stores.egress import Egress, EgressFailed, Limits, Received, Refused

_MOST_BYTES = 1024 * 1024
_SAFE = frozenset({"GET", "HEAD"})
# Worth another try, whoever answers so.
_RETRIABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_HOST = re.compile(r"^[A-Za-z0-9.-]+$")
_SHOWN_HEADERS = ("content-type", "location", "retry-after", "etag", "last-modified", "link")


class HttpConfig(NodeConfig):
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field(
        min_length=1,
        max_length=8192,
        description="Where to. If its host is a template, `allowed_hosts` has to say which.",
        json_schema_extra={"format": "template"},
    )
    allowed_hosts: list[str] = Field(
        default=[], max_length=100, description="The only hosts that this node calls, if there are any here."
    )
    query: dict[str, str | int | float | bool | None] = Field({}, description="Parameters added to the URL.")
    headers: Headers = Field({})
    body: Any = Field(None, description="Sent as it is if it is text, and as JSON otherwise.")
    accept_errors: bool = Field(False, description="Whether a status from 400 on is an output and no failure.")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if host_of(self.url) is None and not self.allowed_hosts:
            raise ValueError("The host of `url` is a template: `allowed_hosts` has to say which hosts it may come to.")
        return self


def host_of(url: str) -> str | None:
    """Return the host that a URL leads to however its templates are filled in; None if that depends on them."""
    literal = re.split(r"\{[{%#]", url, maxsplit=1)[0]
    scheme, separator, rest = literal.partition("://")
    ended = literal != url and not re.search(r"[/?#\\]", rest)
    if not separator or scheme.lower() not in ("http", "https") or ended:
        return None
    try:
        host = urlsplit(literal).hostname
    except ValueError:
        return None
    return host if host and _HOST.match(host) else None


def is_literal(url: str) -> str:
    """Return `url`. Raises ValueError unless where it leads is what the author wrote, and nothing a document says."""
    if host_of(url) is None or any(each in url for each in ("{{", "{%", "{#")):
        raise ValueError("Write it as https://host/path, without templates.")
    return url


class Http(Portless):
    name: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP request"
    description: ClassVar[str] = (
        "Sends one request to a public address. Requests that change something carry the step's key as "
        "Idempotency-Key, the same for every attempt."
    )
    effect: ClassVar[Effect] = Effect.CALL
    config_model = HttpConfig
    output_schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object"},
            "body": {"description": "JSON as it is, other text as a string; null if it is neither."},
        },
    }
    # Which hosts are called, and with which secrets, is what the author wrote and nothing that a document says.
    raw_fields: ClassVar[frozenset[str]] = frozenset({"url", "allowed_hosts"})

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def run(self, step: Step[HttpConfig]) -> Done:
        url, host = self._where(step)
        headers = await sent(step, step.config.headers, host)
        content = None
        if step.config.body is not None:
            content, kind = _content(step.config.body)
            headers.setdefault("content-type", kind)
        if step.config.method not in _SAFE:
            headers.setdefault("idempotency-key", step.effect_key)
        return Done(output=await step.call("request", lambda _key: self._asked(step.config, url, headers, content)))

    def _where(self, step: Step[HttpConfig]) -> tuple[str, str]:
        rendered = templates.render(step.config.url, step.scope)
        if not isinstance(rendered, str):
            raise NodeFailed("`url` has to come to text.", code="NODE_CONFIG_INVALID")
        try:
            parts = urlsplit(rendered)
            host = parts.hostname or ""
        except ValueError:
            raise NodeFailed("`url` does not come to a URL.", code="NODE_CONFIG_INVALID") from None
        fixed, allowed = host_of(step.config.url), {each.lower() for each in step.config.allowed_hosts}
        if (fixed is not None and host != fixed.lower()) or (allowed and host not in allowed):
            raise NodeFailed("This node may not call that host.", code="HOST_NOT_ALLOWED")
        if step.config.query:
            more = urlencode({name: _plain(value) for name, value in step.config.query.items()})
            parts = parts._replace(query=f"{parts.query}&{more}" if parts.query else more)
        return urlunsplit(parts), host

    async def _asked(self, config: HttpConfig, url: str, headers: Mapping[str, str], content: bytes | None) -> Called:
        limits = Limits(seconds=config.timeout_seconds, max_bytes=_MOST_BYTES, redirects=0)
        try:
            received = await self._egress.fetch(
                url, method=config.method, headers=headers, content=content, limits=limits
            )
        except Refused as error:
            raise NodeFailed(error.message, code=error.code) from error
        except EgressFailed as error:
            raise NodeFailed(error.message, code=error.code, retriable=True) from error
        if received.status >= 400 and not config.accept_errors:
            raise NodeFailed(
                f"The other side answered with status {received.status}.",
                code="HTTP_STATUS",
                retriable=received.status in _RETRIABLE,
            )
        return Called(result=_output(received), usage=Usage(calls=1))


def _content(body: Json) -> tuple[bytes, str]:
    if isinstance(body, str):
        return body.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    return json.dumps(body).encode(), "application/json"


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _output(received: Received) -> Json:
    text: str | None
    try:
        text = received.content.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    body: Json = text
    if text is not None and "json" in received.headers.get("content-type", ""):
        try:
            body = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            body = text
    shown: dict[str, Json] = {name: received.headers[name] for name in _SHOWN_HEADERS if name in received.headers}
    return {"status": received.status, "headers": shown, "body": body}


def _no_constant(name: str) -> None:
    raise ValueError(name)
