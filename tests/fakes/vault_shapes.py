"""The shapes of Vault's API that we use, and what of a request or an answer does not fit them.

Written down from the OpenAPI document that HashiCorp publishes with its Go client (hashicorp/vault-client-go,
openapi.json, "HashiCorp Vault API" 1.15.0, commit a0f17ccb): paths, methods, fields, types and statuses. It has no
shape for answers of logins, tokens and the transit engine; of these the status alone is checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Fields = Mapping[str, type]

# "HTTP status codes" of Vault's documentation; the OpenAPI document names those of success only.
_REFUSALS = {400, 403, 404, 405, 412, 429, 472, 473, 500, 502, 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What may be sent, and what success is: its status and the fields of its answer, below `data` if wrapped."""

    status: int = 200
    body: Fields = field(default_factory=dict)
    query: frozenset[str] = frozenset()
    answer: Fields | None = None
    wrapped: bool = True


_SEAL_STATUS: Fields = {
    **dict.fromkeys(("initialized", "migration", "recovery_seal", "sealed"), bool),
    **dict.fromkeys(("n", "t", "progress"), int),
    **dict.fromkeys(("build_date", "cluster_id", "cluster_name", "nonce", "storage_type", "type", "version"), str),
}
_WRITTEN: Fields = {
    "created_time": str,
    "custom_metadata": dict,
    "deletion_time": str,
    "destroyed": bool,
    "version": int,
}
_SETTINGS: Fields = {"cas_required": bool, "custom_metadata": dict, "delete_version_after": str, "max_versions": int}
_DESCRIBED: Fields = {
    **_SETTINGS,
    **dict.fromkeys(("created_time", "updated_time"), str),
    **dict.fromkeys(("current_version", "oldest_version"), int),
    "versions": dict,
}
_TRANSIT: Fields = {
    **dict.fromkeys(("associated_data", "context", "nonce"), str),
    "batch_input": list,
    "partial_failure_response_code": int,
}

# By path: `{mount}` and `{name}` are one segment, `{path}` is all that follows.
PUBLISHED: Mapping[tuple[str, str], Operation] = {
    ("GET", "sys/seal-status"): Operation(answer=_SEAL_STATUS, wrapped=False),
    ("POST", "auth/{mount}/login"): Operation(body=dict.fromkeys(("role_id", "secret_id", "jwt", "role"), str)),
    ("GET", "auth/token/lookup-self"): Operation(),
    ("POST", "auth/token/renew-self"): Operation(body={"increment": str, "token": str}),
    # The document leaves out `version`, which "Read secret version" of the KV v2 documentation has.
    ("GET", "{mount}/data/{path}"): Operation(query=frozenset({"version"}), answer={"data": dict, "metadata": dict}),
    ("POST", "{mount}/data/{path}"): Operation(body={"data": dict, "options": dict, "version": int}, answer=_WRITTEN),
    ("GET", "{mount}/metadata/{path}"): Operation(answer=_DESCRIBED),
    ("POST", "{mount}/metadata/{path}"): Operation(status=204, body=_SETTINGS),
    ("DELETE", "{mount}/metadata/{path}"): Operation(status=204),
    ("LIST", "{mount}/metadata/{path}"): Operation(query=frozenset({"list"}), answer={"keys": list}),
    ("POST", "{mount}/destroy/{path}"): Operation(status=204, body={"versions": list}),
    ("POST", "{mount}/encrypt/{name}"): Operation(
        body={**_TRANSIT, "plaintext": str, "key_version": int, "convergent_encryption": bool, "type": str}
    ),
    ("POST", "{mount}/decrypt/{name}"): Operation(body={**_TRANSIT, "ciphertext": str}),
}
# One path, two methods of logging in: each has fields of its own.
_LOGINS = {"approle": {"role_id", "secret_id"}, "kubernetes": {"jwt", "role"}}


def operation(method: str, path: str) -> Operation | None:
    """Return what is published of a request, None if nothing is. PUT is POST to Vault, as its documentation says."""
    named = "POST" if method == "PUT" else method
    for (known, template), found in PUBLISHED.items():
        if known == named and _fits(template.split("/"), path.split("/")):
            return found
    return None


def request_faults(method: str, path: str, query: Mapping[str, Any], body: Any) -> list[str]:
    """Return what of a request is not published: its path or method, a parameter, a field or its type."""
    found = operation(method, path)
    if found is None:
        return [f"{method} {path} is not published"]
    faults = [f"{method} {path}: no parameter {name}" for name in query if name not in found.query]
    if body is None:
        return faults
    if not isinstance(body, dict):
        return [*faults, f"{method} {path}: the body is no object"]
    allowed = found.body
    if path.startswith("auth/") and path.endswith("/login"):
        allowed = dict.fromkeys(_LOGINS.get(path.split("/")[1], set()), str)
    return [*faults, *_unlike(f"{method} {path}", allowed, body)]


def answer_faults(method: str, path: str, status: int, answer: Any) -> list[str]:
    """Return what of an answer is not published: its status, a field or its type."""
    found = operation(method, path)
    if status in _REFUSALS:
        told = answer.get("errors") if isinstance(answer, dict) else None
        return [] if isinstance(told, list) else [f"{method} {path}: {status} without errors"]
    if found is None or status != found.status:
        return [f"{method} {path}: {status} is not published"]
    if found.status == 204:
        return [] if answer is None else [f"{method} {path}: 204 has no body"]
    if found.answer is None:
        return []
    given = answer.get("data") if found.wrapped and isinstance(answer, dict) else answer
    if not isinstance(given, dict):
        return [f"{method} {path}: the answer is no object"]
    return _unlike(f"{method} {path} answers", found.answer, given)


def _fits(template: Sequence[str], path: Sequence[str]) -> bool:
    if template[-1] == "{path}":
        path = [*path[: len(template) - 1], "/".join(path[len(template) - 1 :])]
    return len(template) == len(path) and all(
        given != "" if part.startswith("{") else part == given for part, given in zip(template, path, strict=True)
    )


def _unlike(where: str, allowed: Fields, given: Mapping[str, Any]) -> list[str]:
    """Return the fields that are not allowed, and those of another type. A null stands for no field."""
    unknown = [f"{where}: no field {name}" for name in given if name not in allowed]
    return unknown + [
        f"{where}: {name} is no {allowed[name].__name__}"
        for name, value in given.items()
        if name in allowed
        and value is not None
        and (not isinstance(value, allowed[name]) or (allowed[name] is int and isinstance(value, bool)))
    ]
