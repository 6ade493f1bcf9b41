"""What GitHub sends to a payload URL, and how it signs that."""

import hashlib
import hmac
import json
from typing import Any

from core.ids import new_id

HOOK = "/api/v1/webhooks/inbound/github"


def push_body(repository: str = "acme/cranes", *, ref: str = "refs/heads/main", **more: Any) -> bytes:
    """Return the payload of a push, as far as anybody looks at it and a little further."""
    told = {"full_name": repository, "default_branch": "main", "private": False}
    return json.dumps(
        {"ref": ref, "deleted": False, "repository": told, "after": new_id(), "commits": [], **more}
    ).encode()


def signature(body: bytes, secret: str, digest: str = "sha256") -> str:
    return f"{digest}={hmac.new(secret.encode(), body, getattr(hashlib, digest)).hexdigest()}"


def headers_of(body: bytes, secret: str, *, event: str = "push", delivery: str | None = None) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery or new_id(),
        "x-hub-signature": signature(body, secret, "sha1"),
        "x-hub-signature-256": signature(body, secret),
    }
