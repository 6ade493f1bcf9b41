"""One record per Idempotency-Key: claimed by one attempt at a time, answered once, replayed for a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.errors import IdempotencyInProgress, IdempotencyKeyReused, LeaseLost
from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import IdempotencyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to carry out the request. `fence` grows with every attempt: an attempt that was overtaken has lost."""

    identity: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    status: int
    headers: Mapping[str, str]
    sealed_body: bytes


class IdempotencyRecords:
    def __init__(self, database: Database, clock: Clock, *, lease: timedelta, kept_for: timedelta) -> None:
        self._database = database
        self._clock = clock
        self.lease = lease
        self._kept_for = kept_for

    async def claim(
        self, identity: str, fingerprint: str, tenant_id: TenantId | None, *, earlier: Sequence[str] = ()
    ) -> Claim | KeptAnswer:
        """Return the right to carry the request out, or the answer it already has.

        `earlier` are fingerprints that the same request had before keys were rotated.

        Raises IdempotencyKeyReused if the key stands for another request, IdempotencyInProgress while another
        attempt is at work and gives signs of life.
        """
        now, same = self._clock.now(), (fingerprint, *earlier)
        async with self._database.reading() as session:  # a replay takes no lock from those who write
            row = await session.get(IdempotencyRow, identity)
            if row is not None and row.status is not None and row.expires_at > now:
                return _kept(row, same)
        async with self._database.transaction(independent=True) as session:
            row = await _locked(session, identity)
            if row is None:
                fresh = self._fresh(identity, fingerprint, tenant_id, now)
                try:
                    async with session.begin_nested():
                        session.add(fresh)
                    return Claim(identity=identity, fence=fresh.fence)
                except IntegrityError:  # another attempt was faster, in another process
                    row = await _locked(session, identity)
            if row is None:
                raise IdempotencyInProgress("The first request with this key is still being worked on. Try again.")
            return self._existing(row, same, now)

    def _fresh(self, identity: str, fingerprint: str, tenant_id: TenantId | None, now: datetime) -> IdempotencyRow:
        return IdempotencyRow(
            identity=identity,
            tenant_id=tenant_id,
            fingerprint=fingerprint,
            fence=1,
            lease_until=now + self.lease,
            headers={},
            created_at=now,
            expires_at=now + self._kept_for,
        )

    def _existing(self, row: IdempotencyRow, fingerprints: Sequence[str], now: datetime) -> Claim | KeptAnswer:
        if row.expires_at > now:
            if row.status is not None:
                return _kept(row, fingerprints)
            _same(row, fingerprints)
        if row.status is None and row.lease_until > now:
            raise IdempotencyInProgress("The first request with this key is still being worked on. Try again.")
        row.fingerprint = fingerprints[0]
        row.fence += 1
        row.lease_until, row.expires_at = now + self.lease, now + self._kept_for
        row.status, row.sealed_body, row.headers = None, None, {}
        return Claim(identity=row.identity, fence=row.fence)

    async def first_known(self, identities: Sequence[str]) -> str | None:
        """Return the first of these that there is a record of, None if there is none."""
        async with self._database.reading() as session:
            query = select(IdempotencyRow.identity).where(IdempotencyRow.identity.in_(identities))
            known = set(await session.scalars(query))
        return next((identity for identity in identities if identity in known), None)

    async def finish(self, session: AsyncSession, claim: Claim, answer: KeptAnswer) -> None:
        """Write the answer into the transaction of its effect. Raises LeaseLost if another attempt took over."""
        done = await session.execute(
            update(IdempotencyRow)
            .where(
                IdempotencyRow.identity == claim.identity,
                IdempotencyRow.fence == claim.fence,
                IdempotencyRow.status.is_(None),
            )
            .values(status=answer.status, headers=dict(answer.headers), sealed_body=answer.sealed_body)
            .execution_options(synchronize_session=False)
        )
        if _rows(done) != 1:
            raise LeaseLost("Another attempt has taken this request over.")

    async def amend(self, claim: Claim, answer: KeptAnswer) -> None:
        """Replace the answer of a finished request by a later one, such as the outcome somebody waited for."""
        async with self._database.transaction() as session:
            await session.execute(
                update(IdempotencyRow)
                .where(IdempotencyRow.identity == claim.identity, IdempotencyRow.fence == claim.fence)
                .values(status=answer.status, headers=dict(answer.headers), sealed_body=answer.sealed_body)
                .execution_options(synchronize_session=False)
            )

    async def renew(self, claim: Claim) -> None:
        await self._lease_until(claim, self._clock.now() + self.lease)

    async def release(self, claim: Claim) -> None:
        """Let the next attempt begin at once: this one ended without an effect."""
        await self._lease_until(claim, self._clock.now())

    async def _lease_until(self, claim: Claim, until: datetime) -> None:
        async with self._database.transaction(independent=True) as session:
            await session.execute(
                update(IdempotencyRow)
                .where(
                    IdempotencyRow.identity == claim.identity,
                    IdempotencyRow.fence == claim.fence,
                    IdempotencyRow.status.is_(None),
                )
                .values(lease_until=until)
                .execution_options(synchronize_session=False)
            )


def _same(row: IdempotencyRow, fingerprints: Sequence[str]) -> None:
    if row.fingerprint not in fingerprints:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request. Make a new key.")


def _kept(row: IdempotencyRow, fingerprints: Sequence[str]) -> KeptAnswer:
    _same(row, fingerprints)
    assert row.status is not None
    return KeptAnswer(status=row.status, headers=row.headers, sealed_body=row.sealed_body or b"")


async def _locked(session: AsyncSession, identity: str) -> IdempotencyRow | None:
    query = select(IdempotencyRow).where(IdempotencyRow.identity == identity).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


def _rows(result: object) -> int:
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
