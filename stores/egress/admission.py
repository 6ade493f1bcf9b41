"""Whether a URL leads where we would connect to, for those who write it down long before anybody connects."""

import asyncio
from dataclasses import dataclass, field

from stores.egress.addresses import Allowance
from stores.egress.backend import CheckedBackend
from stores.egress.errors import Refused, TimedOut
from stores.egress.resolver import Resolver, SystemResolver
from stores.egress.targets import port_of, target

# Of a name in the DNS (RFC 1035).
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What it lets through is checked again at each connection: a name may mean something else by then."""

    allow: Allowance
    resolver: Resolver = field(default_factory=SystemResolver)
    seconds: float = 5.0

    async def check(self, url: str) -> None:
        """Look up the host. http may lead to allowed addresses only. Raises EgressFailed with a sentence."""
        asked = target(url)
        if len(asked.raw_host) > _LONGEST_HOST:
            raise Refused("The URL names a host longer than any. Check how it is spelt.")
        backend = CheckedBackend(self.resolver, self.allow, allowed_only=asked.scheme == "http")
        try:
            async with asyncio.timeout(self.seconds):
                await backend.addresses(asked.raw_host.decode("ascii"), port_of(asked))
        except TimeoutError as error:
            raise TimedOut("The URL's host could not be looked up in time. Try again.") from error
