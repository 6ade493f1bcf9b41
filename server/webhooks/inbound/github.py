"""What GitHub sends: how it is signed, and what a push says."""

import hashlib
import hmac
import re

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import AuthenticationFailed, ValidationFailed
from pipelines.sources.repository_address import RepositoryAddress
from server.openapi.violations import violations_of

# As GitHub writes it, so that each signature has one spelling.
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")


class Repository(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    full_name: str
    default_branch: str


class Push(BaseModel):
    """Of all that a push says, what matters here; the rest may be anything."""

    model_config = ConfigDict(frozen=True, strict=True)

    ref: str
    deleted: bool = False
    repository: Repository


def check_form(signatures: list[str]) -> str:
    """Return the one signature there is. Raises AuthenticationFailed: nothing else could be right for any body."""
    if len(signatures) != 1 or not _SIGNATURE.fullmatch(signatures[0]):
        raise refused()
    return signatures[0]


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` is `sha256=` and the hex HMAC-SHA256 of the body under `secret`; in constant time."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


def refused() -> AuthenticationFailed:
    """Return the one answer to whatever is not signed, whether or not there is such a source."""
    return AuthenticationFailed(
        "Nothing is taken without X-Hub-Signature-256 over the body, made with the webhook secret of source_id."
    )


def read_push(body: bytes) -> Push:
    """Raises ValidationFailed."""
    try:
        return Push.model_validate_json(body)
    except ValidationError as error:
        raise ValidationFailed("The body is not a push as GitHub sends it.", violations=violations_of(error)) from None


def passed_over(push: Push, location: str) -> str | None:
    """Return why a push is nothing to the source at `location`; None if it has to be crawled."""
    address = RepositoryAddress.of(location)
    if push.repository.full_name.lower() != address.full_name.lower():
        return f"Ignored: the source is the repository {address.full_name}, and the push is to another one."
    ref = address.ref or push.repository.default_branch
    if push.ref not in (f"refs/heads/{ref}", f"refs/tags/{ref}"):
        return f"Ignored: the source follows {ref}, and the push is to something else."
    if push.deleted:
        return f"Ignored: {ref} was deleted. The documents stay as they are."
    return None
