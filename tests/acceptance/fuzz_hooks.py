"""What the fuzzer is told beyond the published document: a check of ours, and what no schema can say."""

import os
from typing import Any

import schemathesis
from schemathesis.engine import observations

ENVELOPE = {"code", "message", "details", "request_id"}
_USUAL_CHUNK_TOKENS = 200
# What the fuzzer speaks for: ending it would end the run, so the fuzzer is sent after nobody's instead.
_OWN = set(os.environ.get("FUZZ_OWN_IDS", "").split())
_NOBODY = "00000000-0000-7000-8000-000000000000"
# Open to egress in the system that is fuzzed, and nobody listens there.
_NOWHERE = "http://127.0.0.1:9/"

_same_origin_path = observations._same_origin_path


def _same_origin_path_or_none(value: str, origin: Any) -> str | None:
    """The fuzzer reads addresses out of answers, and ends at text of a user's that is none, such as "http://["."""
    try:
        path: str | None = _same_origin_path(value, origin)
    except ValueError:
        return None
    return path


observations._same_origin_path = _same_origin_path_or_none


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Let filters nest less deep where a quick run asks for it: with every level the cases to cover are thrice as many.

    The published document unrolls the nesting, `Filters` holding `Filters2` and so on to a last one that holds none.
    """
    schemas = raw_schema["components"]["schemas"]
    levels = sorted(name for name in schemas if name.removeprefix("Filters").isdigit())
    deepest = int(os.environ.get("FUZZ_FILTER_LEVELS", len(levels)))
    if deepest >= len(levels):
        return
    nested = schemas["Filters" if deepest == 1 else f"Filters{deepest}"]["properties"]
    innermost = {"$ref": f"#/components/schemas/{levels[-1]}"}
    nested["$and"]["items"] = nested["$or"]["items"] = nested["$not"] = innermost


@schemathesis.check
def errors_are_enveloped(_context: Any, response: Any, _case: Any) -> None:
    """Every refusal is the envelope of the API reference, with the request's id."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    answer = response.json()
    assert set(answer) == {"error"}, f"not an envelope: {response.text[:200]}"
    assert set(answer["error"]) == ENVELOPE, f"not an envelope: {response.text[:200]}"
    [request_id] = response.headers["x-request-id"]
    # A replayed answer is the first one's to the byte, so it names the request that it answered first.
    assert answer["error"]["request_id"] == request_id or "idempotent-replayed" in response.headers


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Spare what the fuzzer itself needs, and keep to the rules that no schema can state."""
    if case.method != "GET":
        parameters = case.path_parameters or {}
        case.path_parameters = {name: _NOBODY if value in _OWN else value for name, value in parameters.items()}
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    (case.query or {}).pop("cursor", None)  # signed: nobody guesses one
    tag = (case.headers or {}).get("If-Match", "")
    if tag.isdigit():  # the fuzzer takes the quotes of an ETag for those of a string
        case.headers["If-Match"] = f'"{tag}"'
    if not isinstance(case.body, dict):
        return
    case.body = _consistent(dict(case.body))
    if case.body.get("stream") and case.headers:  # a stream is not kept for retries
        case.headers.pop("Idempotency-Key", None)
    if case.body.get("mfa_code") and case.headers:
        case.headers.pop("X-Vault-MFA-Code", None)


def _consistent(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body with what the document says in sentences: rules between fields, and with the clock."""
    overlap, chunk = body.get("overlap_tokens"), body.get("chunk_tokens") or _USUAL_CHUNK_TOKENS
    if overlap is not None and overlap >= chunk:
        body["overlap_tokens"] = chunk - 1
    if isinstance(body.get("chunking"), dict):
        body["chunking"] = _consistent(dict(body["chunking"]))
    body.pop("model", None)  # no document can list what an installation calls its models
    if body.get("expires_at") is not None:
        body["expires_at"] = "2999-01-01T00:00:00Z"
    if "url" in body:  # what names lead to, no schema says
        body["url"] = _NOWHERE
    if len(str(body.get("email", "")).casefold()) > len(str(body.get("email", ""))):
        body["email"] = "ada@example.com"  # folding may make an address longer than addresses are
    return body
