"""Count each request where it belongs, and tell on every answer what is left."""

import math
import time

from sanic import Request
from sanic.response import BaseHTTPResponse

from core.errors import RateLimitExceeded
from server.auth.principal import Principal
from server.openapi.registry import Operation
from server.ratelimit.limiter import RateLimiter
from stores.gcra import Decision

_FORWARDED = "x-forwarded-for"


class RateLimit:
    """One a process. `trusted_proxies` is how many proxies in front append to X-Forwarded-For."""

    def __init__(self, limiter: RateLimiter, *, trusted_proxies: int) -> None:
        self._limiter = limiter
        self._trusted_proxies = trusted_proxies

    async def count(self, request: Request, operation: Operation, principal: Principal | None) -> None:
        """Count the request to its caller, or to its address without one. Raises RateLimitExceeded.

        Raises ServiceUnavailable, where the operation is closed, while it cannot be counted exactly. Operations without
        a limit are looked up and not counted: their answers too say what is left.
        """
        cost = 1 if operation.limited else 0
        if principal is None:
            decision = await self._limiter.of_address(address_of(request, self._trusted_proxies), cost=cost)
        else:
            decision = await self._limiter.of_caller(
                principal.tenant_id, principal.subject, principal.plan, cost=cost, closed=operation.closed
            )
        request.ctx.rate = decision
        if not decision.allowed:
            raise RateLimitExceeded(
                f"At most {decision.limit.limit} requests in {decision.limit.period_seconds} seconds are allowed here.",
                retry_after_seconds=max(1, math.ceil(decision.retry_after_seconds)),
            )

    async def finish(self, request: Request, response: BaseHTTPResponse) -> None:
        """Put the headers on the answer; one that never reached a handler is counted to its address now."""
        decision: Decision | None = getattr(request.ctx, "rate", None)
        if decision is None:
            decision = await self._limiter.of_address(address_of(request, self._trusted_proxies))
        response.headers.update(headers_of(decision))


def headers_of(decision: Decision) -> dict[str, str]:
    """Return the headers of the API reference, and those of draft-ietf-httpapi-ratelimit-headers beside them."""
    limit, name = decision.limit, decision.limit.name
    reset_after = math.ceil(decision.reset_after_seconds)
    return {
        "x-ratelimit-limit": str(limit.limit),
        "x-ratelimit-remaining": str(decision.remaining),
        "x-ratelimit-reset": str(math.ceil(time.time() + decision.reset_after_seconds)),
        "ratelimit-policy": f'"{name}";q={limit.limit};w={limit.period_seconds}',
        "ratelimit": f'"{name}";r={decision.remaining};t={reset_after}',
    }


def address_of(request: Request, trusted_proxies: int) -> str:
    """Return the address of the client: what the outermost proxy we trust has seen, else the peer of the socket."""
    if trusted_proxies:
        hops = [hop.strip() for line in request.headers.getall(_FORWARDED, []) for hop in line.split(",")]
        if len(hops) >= trusted_proxies:  # fewer: the request came around the proxies
            return str(hops[-trusted_proxies])
    return str(request.ip or "")
