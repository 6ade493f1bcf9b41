"""No lost updates: a resource's version travels as its ETag and comes back in If-Match (RFC 9110, 13.1.1)."""

import re

from sanic import Request

from core.errors import PreconditionFailed, ValidationFailed
from server.openapi.registry import RequestHeader

HEADER = "if-match"
_ONE = r'(?:W/)?"[\x21\x23-\x7e]*"'
_TAGS = re.compile(rf"\s*{_ONE}(?:\s*,\s*{_ONE})*\s*")
IF_MATCH = RequestHeader(
    name="If-Match",
    description="The ETag of what you read; if somebody has changed it since, the answer is 412.",
    pattern=r'^(\*|"[0-9]+")$',
)


def etag_of(version: int) -> str:
    """Return the entity tag of a resource at `version`."""
    return f'"{version}"'


def expected_tags(request: Request) -> frozenset[str] | None:
    """Return the tags one of which the resource should have, None where any will do. Raises ValidationFailed."""
    given = request.headers.getall(HEADER, [])
    if not given or given == ["*"]:
        return None
    tags = ",".join(given)
    if not _TAGS.fullmatch(tags):
        raise ValidationFailed('If-Match should be an ETag as it was given, such as "3".', violations=[])
    return frozenset(re.findall(_ONE, tags))


def demand(version: int, expected: frozenset[str] | None) -> None:
    """Raise PreconditionFailed unless `version` is one that the client has seen. Weak tags match nothing."""
    if expected is not None and etag_of(version) not in expected:
        raise PreconditionFailed("This was changed since you read it. Read it again, then decide.")
