"""Recognise a presented key, let a tenant keep its own, and make the key of a development installation."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import AuthorizationFailed, Conflict, ResourceNotFound, ValidationFailed
from core.ids import ApiKeyId, IdSource, TenantId, is_uuid, new_id
from core.log import may_fail
from core.tokens import KeyMode, hash_api_key, looks_like_api_key, new_api_key
from server.auth.api_keys.repository import AuthRepository, KeyRepository, StoredKey, page_of
from server.auth.api_keys.schemas import ChangedKey, KeyMade, KeyPage, KeysQuery, KeyView, NewKey, RotatedKey
from server.auth.principal import Principal, Scope
from server.openapi.pagination import Cursors
from server.openapi.preconditions import demand
from stores.audit import AuditLog
from stores.sql.engine import Database, Session
from stores.sql.models import ApiKeyRow
from stores.tenants import DEVELOPMENT

# A revoked key may work for this long, and not longer. What streams looks once a second besides: five in all.
_REMEMBERED_FOR = timedelta(seconds=3.5)
_REMEMBERED_KEYS = 10_000

_USES_WRITTEN_EVERY = timedelta(minutes=1)
_PREFIX_CHARACTERS = 12


class ApiKeys:
    """Remembers keys it has just seen. Keys it does not know are not remembered: a new one works at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[str, tuple[datetime, StoredKey]] = OrderedDict()
        self._used: dict[ApiKeyId, datetime] = {}

    async def find(self, token: str) -> Principal | None:
        """Return who the key speaks for, or None if it is not one that works now."""
        now = self._clock.now()
        key = await self._look_up(token, now)
        if key is None or not key.usable(now):
            return None
        self._used[key.key_id] = now
        return Principal(tenant_id=key.tenant_id, key_id=key.key_id, scopes=key.scopes, plan=key.plan)

    async def write_uses(self) -> None:
        """Write down when the keys seen since the last time were used: once a minute each, whoever saw them."""
        used, self._used = self._used, {}
        if not used:
            return
        async with self._database.transaction() as session:
            keys = AuthRepository(session)
            for key_id, at in sorted(used.items()):  # in one order everywhere, so that no two wait for each other
                await keys.mark_used(key_id, at, unless_after=at - _USES_WRITTEN_EVERY)

    @asynccontextmanager
    async def writing_uses(self) -> AsyncIterator[None]:
        """Write uses every minute while the block runs, off the path of requests, and once more at its end."""

        async def write_forever() -> None:
            while True:
                await asyncio.sleep(_USES_WRITTEN_EVERY.total_seconds())
                with may_fail("writing when keys were used"):
                    await self.write_uses()

        writing = asyncio.create_task(write_forever())
        try:
            yield
        finally:
            writing.cancel()
            with may_fail("writing when keys were used"):
                await self.write_uses()

    async def _look_up(self, token: str, now: datetime) -> StoredKey | None:
        if not token.isascii():
            return None
        key_hash = hash_api_key(token)
        seen = self._seen.get(key_hash)
        if seen is not None and now < seen[0]:
            return seen[1]
        if not looks_like_api_key(token):
            return None
        until = now + _REMEMBERED_FOR  # counted from before the look-up, so that it is never longer
        async with self._database.reading() as session:
            key = await AuthRepository(session).key_by_hash(key_hash)
        self._seen.pop(key_hash, None)
        if key is not None:
            self._seen[key_hash] = (until, key)
            if len(self._seen) > _REMEMBERED_KEYS:
                self._seen.popitem(last=False)
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys of the tenant that a principal acts in. One a process.

    Nobody makes, widens or rotates a key that may do what they may not: each of these would hand them its scopes.
    """

    database: Database
    clock: Clock
    audit: AuditLog
    new_id: IdSource
    cursors: Cursors

    async def create(self, owner: Principal, asked: NewKey) -> KeyMade:
        """Return a new key. Raises AuthorizationFailed, ValidationFailed."""
        now = self.clock.now()
        _refuse_more_than(owner, asked.scopes)
        _refuse_past(asked.expires_at, now)
        key = new_api_key(asked.mode)
        row = self._row(owner, key, name=asked.name, scopes=asked.scopes, expires_at=asked.expires_at, now=now)
        async with self.database.transaction() as session:
            await KeyRepository(session, owner.tenant_id).add(row)
            await self._log(session, owner, "api_key.created", row, scopes=row.scopes)
        return KeyMade(key=key, api_key=KeyView.of(row))

    async def page(self, owner: Principal, query: KeysQuery) -> KeyPage:
        scope = {"tenant_id": owner.tenant_id, "listing": "api-keys"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(page_of(owner.tenant_id, place=place, limit=query.limit))
        last = found.rows[-1] if found.more else None
        return KeyPage(
            items=[KeyView.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def get(self, owner: Principal, key_id: str) -> KeyView:
        """Raises ResourceNotFound, as does every method below."""
        async with self.database.reading() as session:
            row = await KeyRepository(session, owner.tenant_id).find(_key_id(key_id))
        return KeyView.of(_found(row, key_id))

    async def change(
        self, owner: Principal, key_id: str, asked: ChangedKey, *, expected: frozenset[str] | None
    ) -> KeyView:
        """Change what was asked for. Raises AuthorizationFailed, ValidationFailed, Conflict, PreconditionFailed."""
        now, given = self.clock.now(), asked.model_fields_set
        async with self.database.transaction() as session:
            row = _found(await KeyRepository(session, owner.tenant_id).locked(_key_id(key_id)), key_id)
            demand(row.version, expected)
            _refuse_more_than(owner, row.scopes)
            if "scopes" in given:
                _refuse_more_than(owner, asked.scopes)
                row.scopes = [scope.value for scope in asked.scopes]
            if "expires_at" in given:
                _refuse_past(asked.expires_at, now)
                _refuse_replaced(row)
                row.expires_at = asked.expires_at
            if "name" in given:
                row.name = asked.name
            row.version += 1
            await self._log(session, owner, "api_key.changed", row, changed=sorted(given), scopes=row.scopes)
        return KeyView.of(row)

    async def revoke(self, owner: Principal, key_id: str) -> KeyView:
        """End the key. Whoever may write keys may end any of them: a leak should not wait for an owner."""
        async with self.database.transaction() as session:
            row = _found(await KeyRepository(session, owner.tenant_id).locked(_key_id(key_id)), key_id)
            row.revoked_at = self.clock.now()
            row.version += 1
            await self._log(session, owner, "api_key.revoked", row)
        return KeyView.of(row)

    async def rotate(self, owner: Principal, key_id: str, asked: RotatedKey) -> KeyMade:
        """Return a new key like this one, which ends after the overlap. Raises AuthorizationFailed, Conflict."""
        now = self.clock.now()
        ends = now + timedelta(seconds=asked.overlap_seconds)
        async with self.database.transaction() as session:
            keys = KeyRepository(session, owner.tenant_id)
            old = _found(await keys.locked(_key_id(key_id)), key_id)
            _refuse_more_than(owner, old.scopes)
            _refuse_replaced(old)
            if old.expires_at is not None and old.expires_at <= now:
                raise Conflict("This key has expired. Make a new one.")
            mode: KeyMode = "test" if old.prefix.startswith("cxk_test_") else "live"
            key = new_api_key(mode)
            row = self._row(owner, key, name=old.name, scopes=old.scopes, expires_at=old.expires_at, now=now)
            await keys.add(row)
            old.replaced_by = row.id
            old.expires_at = ends if old.expires_at is None else min(ends, old.expires_at)
            old.version += 1
            await self._log(
                session, owner, "api_key.rotated", old, replaced_by=row.id, until=old.expires_at.isoformat()
            )
        return KeyMade(key=key, api_key=KeyView.of(row))

    def _row(
        self,
        owner: Principal,
        key: str,
        *,
        name: str,
        scopes: Sequence[str],
        expires_at: datetime | None,
        now: datetime,
    ) -> ApiKeyRow:
        return ApiKeyRow(
            id=self.new_id(),
            tenant_id=owner.tenant_id,
            name=name,
            prefix=key[:_PREFIX_CHARACTERS],
            key_hash=hash_api_key(key),
            scopes=[str(scope) for scope in scopes],
            created_at=now,
            created_by=owner.subject,
            expires_at=expires_at,
            version=1,
        )

    async def _log(self, session: Session, owner: Principal, action: str, row: ApiKeyRow, **details: object) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=action,
            resource_type="api_key",
            resource_id=row.id,
            details={"name": row.name, **details},
        )


def _key_id(key_id: str) -> ApiKeyId:
    if not is_uuid(key_id):
        raise ResourceNotFound("api_key", key_id)
    return ApiKeyId(key_id)


def _found(row: ApiKeyRow | None, key_id: str) -> ApiKeyRow:
    if row is None:
        raise ResourceNotFound("api_key", key_id)
    return row


def _refuse_more_than(owner: Principal, scopes: Sequence[str]) -> None:
    missing = sorted(str(scope) for scope in scopes if scope not in owner.scopes)
    if missing:
        raise AuthorizationFailed("That key may do what you may not.", missing_scopes=missing)


def _refuse_past(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        fault = {"pointer": "/expires_at", "message": "The key should expire in the future"}
        raise ValidationFailed("The request is not valid.", violations=[fault])


def _refuse_replaced(row: ApiKeyRow) -> None:
    if row.replaced_by is not None:
        raise Conflict("This key was rotated, and ends on its date. Work with the one that takes its place.")


async def create_tenant(database: Database, clock: Clock, name: str) -> TenantId:
    tenant_id = TenantId(new_id())
    async with database.transaction() as session:
        await AuthRepository(session).add_tenant(tenant_id, name, clock.now())
    return tenant_id


async def create_key(
    database: Database, clock: Clock, tenant_id: TenantId, *, name: str, mode: KeyMode, scopes: Sequence[Scope]
) -> str:
    """Return a new key. This is the only time anybody sees it: its hash is what is kept."""
    key = new_api_key(mode)
    async with database.transaction() as session:
        _add_key(AuthRepository(session), tenant_id, key, name, scopes, clock.now())
    return key


async def issue_key(
    database: Database,
    clock: Clock,
    audit: AuditLog,
    tenant_id: str,
    *,
    name: str,
    mode: KeyMode,
    scopes: Sequence[Scope],
) -> str | None:
    """Return a new key made by the operator, on record as such; None if there is no such tenant."""
    key = new_api_key(mode)
    async with database.transaction() as session:
        keys = AuthRepository(session)
        if not await keys.tenant_lives(TenantId(tenant_id)):
            return None
        _add_key(keys, TenantId(tenant_id), key, name, scopes, clock.now())
        await audit.append(
            session,
            TenantId(tenant_id),
            actor="operator",
            action="api_key.created",
            resource_type="api_key",
            resource_id=key[:_PREFIX_CHARACTERS],
            details={"name": name, "scopes": [scope.value for scope in scopes]},
        )
    return key


async def ensure_development_key(database: Database, clock: Clock, *, kept: str | None) -> str:
    """Return the key of the tenant "development": `kept`, if it is one that works, or a new one.

    `kept` is what the key file holds, None without a file. A new key replaces those made here before: a row
    without its file is a key nobody can know any more.
    """
    now = clock.now()
    async with database.transaction() as session:
        keys = AuthRepository(session)
        tenant_id = await keys.tenant_named(DEVELOPMENT)
        if tenant_id is None:
            tenant_id = TenantId(new_id())
            await keys.add_tenant(tenant_id, DEVELOPMENT, now)
        stored = await keys.key_by_hash(hash_api_key(kept)) if kept else None
        if kept and stored is not None and stored.tenant_id == tenant_id and stored.usable(now):
            if stored.scopes != frozenset(Scope):  # made by a version that knew fewer
                await keys.widen(stored.key_id, [scope.value for scope in Scope])
            return kept
        await keys.revoke_keys_named(tenant_id, DEVELOPMENT, now)
        key = new_api_key("test")
        _add_key(keys, tenant_id, key, DEVELOPMENT, list(Scope), now)
    return key


def _add_key(
    keys: AuthRepository, tenant_id: TenantId, key: str, name: str, scopes: Sequence[Scope], now: datetime
) -> None:
    keys.add_key(
        ApiKeyId(new_id()),
        tenant_id,
        name=name,
        prefix=key[:_PREFIX_CHARACTERS],
        key_hash=hash_api_key(key),
        scopes=[scope.value for scope in scopes],
        now=now,
    )
