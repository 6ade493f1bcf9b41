"""Who may have which secret: the catalogue in SQL and the store of values as one, every access written down first."""

import hmac
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import AuthorizationFailed, Conflict, ResourceNotFound
from core.ids import IdSource, TenantId
from stores.audit import AuditLog
from stores.outbox import Outbox
from stores.secrets import Secrets
from stores.sql.engine import Database, Session
from stores.sql.models import SecretRow, SecretVersionRow
from vault.access import Reader, Revealed, Terms, reason_of, refusal_of, refuse_expired
from vault.elsewhere import Elsewhere, Written, place_of
from vault.names import LONGEST_KEY, is_host, is_key
from vault.records import RESOURCE, Records
from vault.store import Place, SecretBroken, SecretStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """One a process. A deleted secret can be undeleted for `undelete_window`."""

    database: Database
    store: SecretStore
    outbox: Outbox
    audit: AuditLog
    clock: Clock
    new_id: IdSource
    undelete_window: timedelta

    async def describe(self, tenant_id: TenantId, key: str) -> SecretRow:
        """Return what is known of a secret. Raises ResourceNotFound, as all below does, also if it is deleted."""
        async with self.database.reading() as session:
            return _present(await Secrets(session, tenant_id).find(key), key)

    async def put(
        self,
        tenant_id: TenantId,
        key: str,
        value: str,
        terms: Terms,
        *,
        expires_at: datetime | None,
        cas: int | None,
        by: str,
    ) -> SecretRow:
        """Store a secret, or another version of it. Raises Conflict where `cas` is not the current version."""
        ahead = await self._ahead(tenant_id, key, value, lambda row: _compare(self._replaceable(row), cas))
        async with self._changing() as session:
            catalogue = Secrets(session, tenant_id)
            found = await catalogue.locked(key)
            row = self._replaceable(found)
            if found is not None and row is None:
                await self._destroy_all(session, catalogue, found)
            _compare(row, cas)
            if row is None:
                row = await self._added(catalogue, tenant_id, key, by)
                _compare(row if row.version else None, cas)
            _agree(row, terms)
            action = "version_added" if row.version else "created"
            value_of = ahead or value
            previous = await self._write_version(session, catalogue, row, value_of, expires_at=expires_at, by=by)
            await self._records.log(session, row, by, action, version=row.version)
            self._records.tell_written(session, row, by, first=previous == 0)
        return row

    async def rotate(
        self, tenant_id: TenantId, key: str, value: str, *, expires_at: datetime | None, cas: int | None, by: str
    ) -> tuple[SecretRow, int]:
        """Put another value in the secret's place; return it with the version before. The new one was read back."""
        ahead = await self._ahead(tenant_id, key, value, lambda row: _compare(_present(row, key), cas))
        async with self._changing() as session:
            catalogue = Secrets(session, tenant_id)
            row = _present(await catalogue.locked(key), key)
            _compare(row, cas)
            value_of = ahead or value
            previous = await self._write_version(session, catalogue, row, value_of, expires_at=expires_at, by=by)
            await self._records.log(session, row, by, "rotated", version=row.version, previous_version=previous)
            self._records.tell_written(session, row, by)
        return row, previous

    async def roll_back(
        self, tenant_id: TenantId, key: str, number: int, *, cas: int | None, by: str
    ) -> tuple[SecretRow, int]:
        """Make the value and the end of an earlier version those of a new one. Raises SecretExpired."""
        ahead = None
        if not self.store.joins_transactions:
            async with self.database.reading() as session:
                catalogue = Secrets(session, tenant_id)
                row, earlier = await self._earlier(catalogue, await catalogue.find(key), key, number, cas)
            value = await self.store.read(self._place(row, number), earlier.stored_as)
            ahead = await self.elsewhere.write(tenant_id, key, value)
        async with self._changing() as session:
            catalogue = Secrets(session, tenant_id)
            row, earlier = await self._earlier(catalogue, await catalogue.locked(key), key, number, cas)
            value_of = ahead or (await self.store.read(self._place(row, number), earlier.stored_as)).decode()
            ends = earlier.expires_at
            previous = await self._write_version(session, catalogue, row, value_of, expires_at=ends, by=by)
            await self._records.log(session, row, by, "rolled_back", version=row.version, to_version=number)
            self._records.tell_written(session, row, by)
        return row, previous

    async def read(self, tenant_id: TenantId, key: str, number: int | None, reader: Reader) -> Revealed:
        """Give a secret out, once that is written down and committed.

        Raises SecretExpired, MfaRequired, AuthorizationFailed for another host, SecretBroken, and what the store does.
        What is refused is written down, too.
        """
        async with self.database.reading() as session:
            catalogue = Secrets(session, tenant_id)
            row = _present(await catalogue.find(key), key)
            version = _there(await catalogue.version(row.id, number or row.version), key)
        if (refusal := refusal_of(row, version, reader, self.clock.now())) is not None:
            await self.deny(tenant_id, key, version.number, reader, refusal)
            raise refusal
        # Outside of any transaction: a store that is slow holds no lock, one that is away leaves no record.
        value = await self.store.read(self._place(row, version.number), version.stored_as)
        # By itself even inside of a unit of work: what was given out stays written down, whatever becomes of that.
        async with self.database.transaction(independent=True) as session:
            catalogue = Secrets(session, tenant_id)
            now_row = _present(await catalogue.locked(key), key)
            now_version = _there(await catalogue.version(row.id, version.number), key)
            refusal = refusal_of(now_row, now_version, reader, self.clock.now())
            if refusal is None:
                await self._records.used(session, catalogue, now_row, version.number, reader)
        if refusal is not None:
            await self.deny(tenant_id, key, version.number, reader, refusal)
            raise refusal
        return Revealed(key=key, version=version.number, value=value.decode(), expires_at=version.expires_at)

    async def resolve(
        self, tenant_id: TenantId, key: str, *, host: str, principal: str, flow: str, execution: str
    ) -> Revealed:
        """Give the current version to a flow that is about to send it to `host`: ask anew each time, keep it nowhere.

        `host` is the name or address alone, as it is connected to. Call it outside of any transaction: use, audit
        entry and event are committed before the value is handed back. Raises ResourceNotFound, also for what is no
        key, AuthorizationFailed for a host that the secret may not go to, SecretExpired, MfaRequired for a secret that
        takes a second factor (no flow has one), ServiceUnavailable while the store does not answer.
        """
        if not is_key(key):  # it may come out of a template, as anything at all
            raise ResourceNotFound(RESOURCE, ascii(key)[:LONGEST_KEY])
        if not is_host(host):
            raise AuthorizationFailed("A secret is sent to a host with a name or an address in ASCII, and to no other.")
        reader = Reader(principal=principal, flow=flow, execution=execution, host=host)
        return await self.read(tenant_id, key, None, reader)

    async def deny(self, tenant_id: TenantId, key: str, number: int | None, reader: Reader, refusal: Exception) -> None:
        """Write down that a secret was asked for and not given out."""
        reason = reason_of(refusal)
        async with self.database.transaction(independent=True) as session:
            row = await Secrets(session, tenant_id).find(key)
            if row is None:
                return
            await self._records.denied(session, row, number, reader, reason)

    async def delete(self, tenant_id: TenantId, key: str, *, by: str) -> SecretRow:
        """Let nobody have it from now on; what it is stays for as long as it can be undeleted."""
        async with self._changing() as session:
            row = _present(await Secrets(session, tenant_id).locked(key), key)
            row.deleted_at = row.updated_at = self.clock.now()
            await self._records.log(session, row, by, "deleted")
        return row

    async def undelete(self, tenant_id: TenantId, key: str, *, by: str) -> SecretRow:
        """Bring a deleted secret back. Raises Conflict if it is not deleted, ResourceNotFound once it is too late."""
        async with self._changing() as session:
            row = await Secrets(session, tenant_id).locked(key)
            until = self.undelete_until(row) if row is not None else None
            if row is None or (until is not None and until <= self.clock.now()):
                raise ResourceNotFound(RESOURCE, key)
            if row.deleted_at is None:
                raise Conflict("The secret is not deleted.")
            row.deleted_at, row.updated_at = None, self.clock.now()
            await self._records.log(session, row, by, "undeleted")
        return row

    async def destroy(self, tenant_id: TenantId, key: str, numbers: Iterable[int] | None, *, by: str) -> list[int]:
        """Destroy these versions, or the whole secret, for good; return which were destroyed by this.

        Raises Conflict for the current version: rotate first, or destroy all.
        """
        wanted = None if numbers is None else set(numbers)
        async with self._changing() as session:
            catalogue = Secrets(session, tenant_id)
            row = await catalogue.locked(key)
            if row is None:
                raise ResourceNotFound(RESOURCE, key)
            if wanted is None:
                destroyed = await self._destroy_all(session, catalogue, row)
            else:
                if row.version in wanted:
                    raise Conflict("The current version is in use. Rotate the secret first, or destroy all of it.")
                versions = await catalogue.versions(row.id, wanted)
                if {version.number for version in versions} != wanted:
                    raise ResourceNotFound(RESOURCE, key)
                destroyed = await self._destroy(session, row, versions)
            await self._records.destroyed(session, row, by, destroyed, whole=wanted is None)
        return destroyed

    async def destroy_deleted(self, tenant_id: TenantId, key: str, *, by: str) -> None:
        """Destroy a secret that can be undeleted no more. Raises ResourceNotFound for any other."""
        async with self._changing() as session:
            catalogue = Secrets(session, tenant_id)
            row = await catalogue.locked(key)
            until = self.undelete_until(row) if row is not None else None
            if row is None or until is None or until > self.clock.now():
                raise ResourceNotFound(RESOURCE, key)
            destroyed = await self._destroy_all(session, catalogue, row)
            await self._records.destroyed(session, row, by, destroyed, whole=True)

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        """Make every secret of a tenant unreadable for good, in whatever copy: its keys are destroyed."""
        async with self._changing() as session:
            if self.store.joins_transactions:
                await self.store.forget_tenant(tenant_id)
            else:
                await self.elsewhere.doom_tenant(session, tenant_id)
            await Secrets(session, tenant_id).remove_all()

    def undelete_until(self, row: SecretRow) -> datetime | None:
        return None if row.deleted_at is None else row.deleted_at + self.undelete_window

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Session]:
        """Yield a session that the store joins, too: of the unit of work under way, or of one for this change."""
        if self.database.in_unit_of_work:
            async with self.database.transaction() as session:
                yield session
            return
        async with self.database.unit_of_work() as work:
            async with self.database.transaction() as session:
                yield session
            await work.commit()

    async def _added(self, catalogue: Secrets, tenant_id: TenantId, key: str, by: str) -> SecretRow:
        now = self.clock.now()
        row = SecretRow(
            id=self.new_id(),
            tenant_id=tenant_id,
            key=key,
            version=0,
            tags="",
            require_mfa=False,
            allowed_hosts=[],
            created_at=now,
            created_by=by,
            updated_at=now,
        )
        if await catalogue.add(row):
            return row
        return _present(await catalogue.locked(key), key)

    async def _ahead(
        self, tenant_id: TenantId, key: str, value: str, refuse: Callable[[SecretRow | None], object]
    ) -> Written | None:
        """Write a value where the store joins no transaction, before there is one: it may take its time.

        `refuse` raises what the change would be refused for in any case.
        """
        if self.store.joins_transactions:
            return None
        async with self.database.reading() as session:
            refuse(await Secrets(session, tenant_id).find(key))
        return await self.elsewhere.write(tenant_id, key, value.encode())

    async def _write_version(
        self,
        session: Session,
        catalogue: Secrets,
        row: SecretRow,
        value: str | Written,
        *,
        expires_at: datetime | None,
        by: str,
    ) -> int:
        """Make `value` the current version, if it can be read again; return the number of the one before."""
        number, now, previous = await catalogue.newest_number(row.id) + 1, self.clock.now(), row.version
        if isinstance(value, Written):
            await self.elsewhere.settle(session, value)
            stored_as = value.stored_as
        else:
            place, written = self._place(row, number), value.encode()
            stored_as = await self.store.write(place, written)
            if not hmac.compare_digest(await self.store.read(place, stored_as), written):
                raise SecretBroken("What was stored is not what is read back.")
        await catalogue.add_version(
            SecretVersionRow(
                secret_id=row.id,
                number=number,
                tenant_id=row.tenant_id,
                stored_as=stored_as,
                expires_at=expires_at,
                created_at=now,
                created_by=by,
            )
        )
        row.version, row.expires_at, row.updated_at = number, expires_at, now
        return previous

    async def _earlier(
        self, catalogue: Secrets, found: SecretRow | None, key: str, number: int, cas: int | None
    ) -> tuple[SecretRow, SecretVersionRow]:
        row = _present(found, key)
        _compare(row, cas)
        earlier = _there(await catalogue.version(row.id, number), key)
        refuse_expired(earlier, self.clock.now())
        return row, earlier

    async def _destroy_all(self, session: Session, catalogue: Secrets, row: SecretRow) -> list[int]:
        destroyed = await self._destroy(session, row, await catalogue.versions(row.id))
        await catalogue.remove(row)
        return destroyed

    async def _destroy(self, session: Session, row: SecretRow, versions: Sequence[SecretVersionRow]) -> list[int]:
        now = self.clock.now()
        for version in versions:
            if self.store.joins_transactions:
                await self.store.destroy(self._place(row, version.number), version.stored_as)
            version.destroyed_at = now
        if not self.store.joins_transactions:
            doomed = [(row.key, version.stored_as) for version in versions]
            await self.elsewhere.doom(session, TenantId(row.tenant_id), doomed)
        return [version.number for version in versions]

    @property
    def _records(self) -> Records:
        return Records(outbox=self.outbox, audit=self.audit, clock=self.clock, new_id=self.new_id)

    @property
    def elsewhere(self) -> Elsewhere:
        """What writes and destroys values where the store joins no transaction."""
        return Elsewhere(database=self.database, store=self.store, clock=self.clock, new_id=self.new_id)

    def _place(self, row: SecretRow, number: int) -> Place:
        tenant_id = TenantId(row.tenant_id)
        if self.store.joins_transactions:
            return Place(tenant_id=tenant_id, key=row.key, version=number)
        return place_of(tenant_id, row.key)

    def _replaceable(self, row: SecretRow | None) -> SecretRow | None:
        """Return the secret that a new version is added to, None where it is to be a new secret. Raises Conflict."""
        if row is None or row.deleted_at is None:
            return row
        if row.deleted_at + self.undelete_window > self.clock.now():
            raise Conflict("A deleted secret has this key. Undelete it, or destroy it, first.")
        return None


def _present(row: SecretRow | None, key: str) -> SecretRow:
    if row is None or row.deleted_at is not None:
        raise ResourceNotFound(RESOURCE, key)
    return row


def _there(version: SecretVersionRow | None, key: str) -> SecretVersionRow:
    if version is None:
        raise ResourceNotFound(RESOURCE, key)
    return version


def _compare(row: SecretRow | None, cas: int | None) -> None:
    current = 0 if row is None else row.version
    if cas is not None and cas != current:
        raise Conflict("The current version is another. Read the secret again, then decide.", current_version=current)


def _agree(row: SecretRow, terms: Terms) -> None:
    if terms.tags is not None:
        row.tags = f" {' '.join(terms.tags)} " if terms.tags else ""
    if terms.require_mfa is not None:
        row.require_mfa = terms.require_mfa
    if terms.allowed_hosts is not None:
        row.allowed_hosts = list(terms.allowed_hosts)
