"""Which limit a request falls under: the caller's own with a valid credential, its address's without."""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from core.ids import TenantId
from stores.gcra import Decision, Limit, RateCounter

_MINUTE = 60
# What one customer of a provider is given: whoever has a /64 has all its addresses.
_IPV6_CUSTOMER_BITS = 64


class RateLimiter:
    """`counter` counts whatever happens; `exact` raises ServiceUnavailable while it cannot count for all processes."""

    def __init__(
        self,
        counter: RateCounter,
        *,
        exact: RateCounter,
        authenticated: int,
        unauthenticated: int,
        plans: Mapping[str, int] | None = None,
    ) -> None:
        self._counter = counter
        self._exact = exact
        self._authenticated = Limit(name="authenticated", limit=authenticated, period_seconds=_MINUTE)
        self._unauthenticated = Limit(name="unauthenticated", limit=unauthenticated, period_seconds=_MINUTE)
        self._plans = {
            plan: Limit(name=f"plan-{plan}", limit=limit, period_seconds=_MINUTE)
            for plan, limit in (plans or {}).items()
        }

    async def of_caller(
        self, tenant_id: TenantId, subject: str, plan: str, *, cost: int = 1, closed: bool = False
    ) -> Decision:
        """Count one request of `subject` in the tenant it acts in. Raises ServiceUnavailable if `closed`, see above."""
        counter = self._exact if closed else self._counter
        return await counter.take(f"{tenant_id}:{subject}", self._plans.get(plan, self._authenticated), cost)

    async def of_address(self, address: str, *, cost: int = 1) -> Decision:
        """Count one request of somebody who showed no valid credential."""
        return await self._counter.take(customer_of(address), self._unauthenticated, cost)


def customer_of(address: str) -> str:
    """Return what stands for everybody behind `address`."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    bits = 128 - _IPV6_CUSTOMER_BITS
    return f"{IPv6Address(int(parsed) >> bits << bits)}/{_IPV6_CUSTOMER_BITS}"
