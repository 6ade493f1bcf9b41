"""Recognise a presented key, and make the key of a development installation."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta

from core.clock import Clock
from core.ids import ApiKeyId, TenantId, new_id
from core.tokens import KeyMode, hash_api_key, looks_like_api_key, new_api_key
from server.auth.api_keys.repository import AuthRepository, StoredKey
from server.auth.principal import Principal, Scope
from stores.sql.engine import Database

# A revoked key may work for this long, and not longer.
_REMEMBERED_FOR = timedelta(seconds=5)
_REMEMBERED_KEYS = 10_000
_DEVELOPMENT = "development"


class ApiKeys:
    """Remembers keys it has just seen. Keys it does not know are not remembered: a new one works at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[str, tuple[datetime, StoredKey]] = OrderedDict()

    async def find(self, token: str) -> Principal | None:
        """Return who the key speaks for, or None if it is not one that works now."""
        key = await self._look_up(hash_api_key(token)) if looks_like_api_key(token) else None
        if key is None or not key.usable(self._clock.now()):
            return None
        return Principal(tenant_id=key.tenant_id, key_id=key.key_id, scopes=key.scopes)

    async def _look_up(self, key_hash: str) -> StoredKey | None:
        seen = self._seen.get(key_hash)
        if seen is not None and self._clock.now() < seen[0]:
            return seen[1]
        until = self._clock.now() + _REMEMBERED_FOR  # counted from before the look-up, so that it is never longer
        async with self._database.reading() as session:
            key = await AuthRepository(session).key_by_hash(key_hash)
        self._seen.pop(key_hash, None)
        if key is not None:
            self._seen[key_hash] = (until, key)
            if len(self._seen) > _REMEMBERED_KEYS:
                self._seen.popitem(last=False)
        return key


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


async def ensure_development_key(database: Database, clock: Clock, *, kept: str | None) -> str:
    """Return the key of the tenant "development": `kept`, if it is one that works, or a new one.

    `kept` is what the key file holds, None without a file. A new key replaces those made here before: a row
    without its file is a key nobody can know any more.
    """
    now = clock.now()
    async with database.transaction() as session:
        keys = AuthRepository(session)
        tenant_id = await keys.tenant_named(_DEVELOPMENT)
        if tenant_id is None:
            tenant_id = TenantId(new_id())
            await keys.add_tenant(tenant_id, _DEVELOPMENT, now)
        stored = await keys.key_by_hash(hash_api_key(kept)) if kept else None
        if kept and stored is not None and stored.tenant_id == tenant_id and stored.usable(now):
            return kept
        await keys.revoke_keys_named(tenant_id, _DEVELOPMENT, now)
        key = new_api_key("test")
        _add_key(keys, tenant_id, key, _DEVELOPMENT, list(Scope), now)
    return key


def _add_key(
    keys: AuthRepository, tenant_id: TenantId, key: str, name: str, scopes: Sequence[Scope], now: datetime
) -> None:
    keys.add_key(
        ApiKeyId(new_id()),
        tenant_id,
        name=name,
        prefix=key[:12],
        key_hash=hash_api_key(key),
        scopes=[scope.value for scope in scopes],
        now=now,
    )
