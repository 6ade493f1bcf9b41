"""What the fuzzer is told beyond the published document: a check of ours, and what no schema can say."""

from typing import Any

import schemathesis

ENVELOPE = {"code", "message", "details", "request_id"}
_USUAL_CHUNK_TOKENS = 200


@schemathesis.check
def errors_are_enveloped(_context: Any, response: Any, _case: Any) -> None:
    """Every refusal is the envelope of the API reference, with the request's id."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    answer = response.json()
    assert set(answer) == {"error"}, f"not an envelope: {response.text[:200]}"
    assert set(answer["error"]) == ENVELOPE, f"not an envelope: {response.text[:200]}"
    [request_id] = response.headers["x-request-id"]
    assert answer["error"]["request_id"] == request_id


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Keep the overlap below the chunk's length, as a sentence of the document demands and no schema could."""
    body = case.body
    if case.meta is None or case.meta.generation.mode.is_negative or not isinstance(body, dict):
        return
    overlap, chunk = body.get("overlap_tokens"), body.get("chunk_tokens") or _USUAL_CHUNK_TOKENS
    if overlap is not None and overlap >= chunk:
        case.body = {**body, "overlap_tokens": chunk - 1}
