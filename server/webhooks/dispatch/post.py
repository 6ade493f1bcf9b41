"""Send one delivery: signed, to a checked address, within its time, and whatever comes back becomes a sentence."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from core import tracing
from core.clock import Clock
from core.log import get_logger
from server.webhooks.dispatch.delivery import Claimed, Ended, Recipient
from server.webhooks.schedule import retry_after
from server.webhooks.sealing import Sealing
from server.webhooks.signing import OVERLAP, signed_headers
from stores.egress import Egress, EgressFailed, Limits

log = get_logger()

# So much of an answer is kept for whoever looks for a fault; the rest is not even read.
KEPT_BYTES = 20_000
_ANY_LENGTH = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One a process. `plain` may go to allowed addresses only: http is for development."""

    secure: Egress
    plain: Egress
    sealing: Sealing
    clock: Clock
    timeout_seconds: float

    async def send(self, claimed: Claimed) -> Ended:
        """Try a delivery once. Never raises for anything that the endpoint does."""
        with tracing.span("webhook.delivery", codexos__attempt=claimed.attempt) as tell:
            ended = await self._send(claimed)
            tell(failed=not ended.succeeded, http__response__status_code=ended.status or 0)
            return ended

    async def _send(self, claimed: Claimed) -> Ended:
        started_at, began = self.clock.now(), time.perf_counter()

        def ended(**how: object) -> Ended:
            milliseconds = round((time.perf_counter() - began) * 1000)
            return Ended(claimed=claimed, started_at=started_at, milliseconds=milliseconds, **how)  # type: ignore[arg-type]

        recipient = claimed.recipient
        egress = self.secure if recipient.url.startswith("https:") else self.plain
        status, asked_to_wait, kept = None, None, b""
        try:
            headers = self._headers(claimed, started_at)
            async with egress.stream(
                recipient.url, method="POST", headers=headers, content=claimed.body, limits=self._limits()
            ) as (reply, body):
                status = reply.status
                asked_to_wait = retry_after(reply.headers.get("retry-after"), self.clock.now())
                kept = await _first_bytes(body)
        except EgressFailed as error:
            if status is None:  # what was said is said, whatever became of the rest
                return ended(error=str(error))
        except Exception:
            # A delivery that cannot even be prepared is one failed attempt, not the end of all others.
            log.exception("webhook.attempt_broke", delivery=claimed.id)
            return ended(error="The delivery could not be sent; the operator's log says why.")
        text = kept.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        return ended(status=status, response_body=text, retry_after=asked_to_wait)

    def _limits(self) -> Limits:
        return Limits(
            seconds=self.timeout_seconds,
            connect_seconds=self.timeout_seconds,
            read_seconds=self.timeout_seconds,
            redirects=0,
            max_bytes=_ANY_LENGTH,
        )

    def _headers(self, claimed: Claimed, sent_at: datetime) -> Mapping[str, str]:
        recipient = claimed.recipient
        signed = signed_headers(
            claimed.body, event_id=claimed.event_id, sent_at=sent_at, signing=self._signing(recipient, sent_at)
        )
        own = json.loads(self.sealing.open_headers(recipient.sealed_headers, recipient.endpoint_id))
        return {**own, "content-type": "application/json", **signed}

    def _signing(self, recipient: Recipient, sent_at: datetime) -> list[str]:
        secrets = [self.sealing.open_secret(recipient.sealed_secret, recipient.endpoint_id)]
        rotated = recipient.secret_rotated_at
        if recipient.sealed_previous_secret is not None and rotated is not None and sent_at < rotated + OVERLAP:
            secrets.append(self.sealing.open_secret(recipient.sealed_previous_secret, recipient.endpoint_id))
        return secrets


async def _first_bytes(body: AsyncIterator[bytes]) -> bytes:
    kept = b""
    async for part in body:
        kept += part
        if len(kept) >= KEPT_BYTES:
            break
    return kept[:KEPT_BYTES]
