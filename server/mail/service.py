"""Post a mail in the transaction that it tells of, and send what was posted: lost never, doubled only by a crash."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.ids import IdSource
from core.log import get_logger, may_fail
from server.mail import repository
from server.mail.letter import Carrier, Compose, Posted, Undeliverable
from stores.sql.engine import Database, Reader, Session, Writer
from stores.sql.models import MailRow
from vault.envelope import Envelope, SealBroken

log = get_logger()

_PURPOSE = "mail"
_DELAYS_SECONDS = (2, 5, 15, 60, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postbox:
    """One a process. Posting is the same work whoever is written to: who that is, if anybody, is found out later."""

    envelope: Envelope
    clock: Clock
    new_id: IdSource

    def post(self, session: Session, kind: str, content: Mapping[str, str], *, lifetime: timedelta) -> None:
        """Add a mail to `session`'s transaction. After `lifetime` nobody wants to be told any more."""
        mail_id, now = self.new_id(), self.clock.now()
        sealed = self.envelope.seal(json.dumps(dict(content)).encode(), purpose=_PURPOSE, place=mail_id)
        session.add(
            MailRow(
                id=mail_id,
                kind=kind,
                sealed_content=sealed,
                created_at=now,
                available_at=now,
                expires_at=now + lifetime,
                attempts=0,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    row: MailRow

    @property
    def fence(self) -> int:
        return self.row.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailroom:
    """Sends until told to stop. Several may run side by side: what one holds, no other sends before its lease ends.

    A mail is deleted once it was handed on. Whoever is killed between the two lets it be sent a second time, as the
    same message under the same Message-ID.
    """

    database: Database
    envelope: Envelope
    clock: Clock
    carrier: Carrier
    composers: Mapping[str, Compose]
    lease: timedelta
    poll_seconds: float = 1.0
    at_once: int = 4

    async def run(self, stop: asyncio.Event) -> None:
        """Send what is due until `stop` is set; what is under way then is brought to its end."""
        while not stop.is_set():
            sent = 0
            with may_fail("sending mail"):
                sent = await self.turn()
            if not sent:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.poll_seconds):
                        await stop.wait()

    async def turn(self) -> int:
        """Try everything that is due now, up to `at_once`; return how many that were."""
        now = self.clock.now()

        def look(reader: Reader) -> bool:
            return repository.any_due(reader, now)

        def take(writer: Writer) -> list[_Held]:
            rows = repository.take(writer, now, now + self.lease, self.at_once)
            return [_Held(row=row) for row in rows]

        if not await self.database.read(look):
            return 0
        held = await self.database.write(take)
        await asyncio.gather(*(self._try(each) for each in held))
        return len(held)

    async def _try(self, held: _Held) -> None:
        row = held.row
        try:
            letter = await self.composers[row.kind](self._opened(row))
            if letter is not None:
                await self.carrier.carry(letter, mail_id=row.id, posted_at=row.created_at)
        except (Undeliverable, SealBroken) as error:
            log.warning("mail.undeliverable", mail=row.id, kind=row.kind, reason=str(error))
        except Exception as error:  # the server is away, say. What it answers may repeat the letter
            await self._put_off(held, type(error).__name__)
            return
        await self.database.write(lambda writer: repository.delete_held(writer, row.id, held.fence))

    async def _put_off(self, held: _Held, error: str) -> None:
        row = held.row
        delay = timedelta(seconds=_DELAYS_SECONDS[min(held.fence, len(_DELAYS_SECONDS)) - 1])
        until = self.clock.now() + delay
        log.warning("mail.put_off", mail=row.id, kind=row.kind, attempt=held.fence, error=error)
        if until >= row.expires_at:
            log.error("mail.given_up", mail=row.id, kind=row.kind, attempts=held.fence)
        await self.database.write(lambda writer: repository.put_off(writer, row.id, held.fence, until))

    def _opened(self, row: MailRow) -> Posted:
        content = json.loads(self.envelope.open(row.sealed_content, purpose=_PURPOSE, place=row.id))
        return Posted(id=row.id, kind=row.kind, content=content, created_at=row.created_at)
