"""Receivers: whoever signs with the secret that they were given is heard."""

import re
from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import AuthenticationFailed, ValidationFailed
from server.openapi.answers import answered
from server.openapi.registry import Keyed, Operations, RequestHeader
from server.webhooks.inbound.github import check_form
from server.webhooks.inbound.schemas import SIGNATURE_HEADER, GitHubEvent, GitHubForm, GitHubQuery, Taken

if TYPE_CHECKING:
    from server.webhooks.inbound.service import PushService

inbound = Operations("webhooks", "/api/v1/webhooks/inbound")

_WORD = re.compile(r"[!-~]{1,100}")
_HEADERS = [
    RequestHeader(name="X-Hub-Signature-256", description="`sha256=` and the hex HMAC-SHA256 of the body."),
    RequestHeader(name="X-GitHub-Event", description="`push`; `ping` is answered, all else is ignored."),
    RequestHeader(name="X-GitHub-Delivery", description="What was taken under this id is not taken again."),
]


def _word(request: Request, name: str) -> str:
    given: list[str] = request.headers.getall(name, [])
    if len(given) != 1 or not _WORD.fullmatch(given[0]):
        raise ValidationFailed(f"Send one {name} header of up to 100 visible ASCII characters.", violations=[])
    return given[0]


@inbound.operation(
    "POST",
    "/github",
    answers={200: Taken, 202: Taken},
    errors=[AuthenticationFailed],
    headers=_HEADERS,
    keyed=Keyed.IGNORED,
    limited=False,
)
async def receive_github_event(request: Request, query: GitHubQuery, body: GitHubEvent | GitHubForm) -> HTTPResponse:
    """Hear of a push from GitHub, and crawl the source that follows the repository.

    This is the payload URL of the repository's webhook, whose secret is the source's `webhook_secret`. A push to
    the branch that the source follows answers 202, all else 200.
    """
    service: PushService = request.app.ctx.parts.pushes
    source = await service.verified(
        query.source_id, body.content, check_form(request.headers.getall(SIGNATURE_HEADER, []))
    )
    event, delivery_id = _word(request, "X-GitHub-Event"), _word(request, "X-GitHub-Delivery")
    if event == "ping":
        return answered(Taken(state="pong", message="Signed as it should be. Pushes are heard here."))
    if event != "push":
        return answered(Taken(state="ignored", message="Ignored: only pushes are heard here."))
    taken = await service.take(source, delivery_id, body)
    return answered(taken, status=202 if taken.state == "accepted" else 200)
