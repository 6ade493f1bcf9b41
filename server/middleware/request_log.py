"""Each request becomes one line of the log and its counts: by the template of its route, never by what was asked."""

import re
import secrets
import time

from sanic import Request
from sanic.response import BaseHTTPResponse

from core.log import begin_context, get_logger
from server.auth.principal import Principal
from server.errors import request_id_of
from server.openapi.registry import Operation
from server.telemetry import metrics
from stores.gcra import Decision

log = get_logger()

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What reached no operation: a wrong path, a method that is not answered, HTTP that is none.
UNMATCHED = "unmatched"
_CONFLICTS = frozenset({"IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"})


def begin(request: Request) -> None:
    """Start the clock, and bind the request's id and the trace that it is part of to its logs.

    One connection serves many requests: what the last one bound is gone.
    """
    request.ctx.began = time.perf_counter()
    traced = trace_id_of(request.headers.getall("traceparent", []))
    begin_context(request_id=request_id_of(request), trace_id=traced)


def finish(request: Request, response: BaseHTTPResponse) -> None:
    """Stands behind every other middleware: what it tells of is what the client is told."""
    seconds = time.perf_counter() - getattr(request.ctx, "began", time.perf_counter())
    operation: Operation | None = getattr(request.ctx, "operation", None)
    principal: Principal | None = getattr(request.ctx, "principal", None)
    decision: Decision | None = getattr(request.ctx, "rate", None)
    code: str | None = getattr(request.ctx, "error_code", None)
    method = request.method if request.method in _METHODS else "other"
    route = operation.path if operation is not None else UNMATCHED
    replayed = response.headers.get("idempotent-replayed") == "true"
    metrics.count_request(method, route, response.status, seconds)
    if response.status == 401:
        metrics.AUTH_FAILURES.labels(route).inc()
    if decision is not None and (operation is None or operation.limited):
        metrics.count_decision(decision.limit.name, allowed=decision.allowed)
    if replayed:
        metrics.REPLAYS.inc()
    if code in _CONFLICTS:
        metrics.CONFLICTS.labels(code).inc()
    write = log.error if response.status >= 500 else log.warning if response.status >= 400 else log.info
    write(
        "request.finished",
        method=method,
        route=route,
        status=response.status,
        milliseconds=round(seconds * 1000, 2),
        tenant=principal.tenant_id if principal is not None else None,
        principal=principal.subject if principal is not None else None,
        code=code,
        replayed=replayed,
    )


def trace_id_of(given: list[str]) -> str:
    """Return the trace id of a valid W3C `traceparent`, a new one without it."""
    found = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
    if found is not None:
        version, trace_id, span_id, more = found.groups()
        # Version 00 has nothing behind its flags; later ones may. All zeros mean that there is none.
        if version != "ff" and (more is None or version != "00") and int(trace_id, 16) and int(span_id, 16):
            return trace_id
    return secrets.token_hex(16)
