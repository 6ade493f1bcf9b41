"""The headers that the hall reads and writes for every room, as the published document tells of them."""

from typing import Any

from server.openapi.registry import Keyed, Operation

Json = dict[str, Any]

_REF = "#/components/headers/{name}"
_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}

ANSWERED: dict[str, Json] = {
    "X-Request-ID": {"description": "The request's id: yours if it was sane, else a new one.", "schema": _TEXT},
    "X-RateLimit-Limit": {"description": "How many requests a period allows.", "schema": _COUNT},
    "X-RateLimit-Remaining": {"description": "How many are left now.", "schema": _COUNT},
    "X-RateLimit-Reset": {"description": "When all are there again, in epoch seconds.", "schema": _COUNT},
    "RateLimit-Policy": {
        "description": "The same limit in the IETF's form: name, quota and window in seconds.",
        "schema": _TEXT,
        "example": '"authenticated";q=100;w=60',
    },
    "RateLimit": {
        "description": "What is left of it, and in how many seconds all is there again.",
        "schema": _TEXT,
        "example": '"authenticated";r=99;t=1',
    },
    "Retry-After": {"description": "In how many seconds to try again.", "schema": {"type": "integer", "minimum": 1}},
    "Idempotent-Replayed": {
        "description": "`true`: the answer of the first request with this Idempotency-Key; nothing was done now.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "ETag": {"description": "The version of what is answered, for If-Match.", "schema": _TEXT, "example": '"3"'},
    "Preference-Applied": {
        "description": "What of your `Prefer` was done; absent when there was none.",
        "schema": _TEXT,
        "example": "wait=10",
    },
    "WWW-Authenticate": {"description": "The scheme to authenticate with.", "schema": _TEXT, "example": "Bearer"},
}
_ALWAYS = tuple(name for name in ANSWERED if name.startswith(("X-", "RateLimit")))
_RETRIED = frozenset({429, 503})

REQUEST_ID: Json = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Your name for this request; the answer and our logs repeat it. Longer than 128 or"
    " with other characters than letters, digits and `._:/+=-` it is replaced.",
    "schema": _TEXT,
}
TENANT: Json = {
    "name": "X-Tenant-ID",
    "in": "header",
    "description": "Which of your tenants to act in. Without it, the credential's own.",
    "schema": {"type": "string", "format": "uuid"},
}
KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A retry with the same key gets the first answer, and nothing is done twice. Kept for 24 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "b5f1c9c4-5d3e-4a55-9a57-1f1f9f0c4a10",
}


def asked(operation: Operation) -> list[Json]:
    """Return the parameters that the hall reads for `operation`."""
    parameters = [REQUEST_ID]
    if operation.requires is not None:
        parameters.append(TENANT)
    if operation.has_effect and operation.keyed is not Keyed.IGNORED:
        parameters.append(KEY | {"required": operation.keyed is Keyed.REQUIRED})
    return parameters


def answered_with(operation: Operation, status: int) -> Json:
    """Return the headers of the operation's answer with `status`."""
    names = list(_ALWAYS)
    if status in _RETRIED:
        names.append("Retry-After")
    if status == 401:
        names.append("WWW-Authenticate")
    if operation.has_effect and operation.keyed is not Keyed.IGNORED and status < 500:
        names.append("Idempotent-Replayed")
    if status in operation.answers:
        # A resource that counts its versions says which one this is.
        told = operation.answers[status]
        tagged = told.tagged or "version" in told.model_fields
        names += ["ETag"] if tagged and operation.method != "DELETE" else []
        names += ["Preference-Applied"] if any(asked.name == "Prefer" for asked in operation.headers) else []
    return {name: {"$ref": _REF.format(name=name)} for name in names}
