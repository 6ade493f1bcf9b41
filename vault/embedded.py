"""Keep values in the platform's own database: each under a key of its own, under its tenant's, under the root key."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.clock import Clock
from core.ids import IdSource, TenantId
from stores.secret_values import SecretValues
from stores.sql.engine import Database
from stores.sql.models import SecretValueRow, VaultKeyRow
from vault.envelope import Envelope, SealBroken
from vault.store import Kept, Place, SecretBroken

_KEY_BYTES = 32
_NONCE_BYTES = 12
_PURPOSE = "vault-tenant-key"
_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReWrapped:
    """How many values are under the newest key by this, and how many could not be opened."""

    done: int
    broken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStore:
    """`envelope` holds the root key."""

    database: Database
    envelope: Envelope
    clock: Clock
    new_id: IdSource

    @property
    def joins_transactions(self) -> bool:
        return True

    async def write(self, place: Place, value: bytes, *, written_as: str | None = None) -> str:
        value_id = written_as or self.new_id()
        async with self.database.transaction() as session:
            values = SecretValues(session, place.tenant_id)
            held = await self._sealing_key(values, place.tenant_id)
            data_key, bound = secrets.token_bytes(_KEY_BYTES), _bound(place, value_id)
            row = SecretValueRow(
                id=value_id,
                tenant_id=place.tenant_id,
                vault_key_id=held.id,
                sealed_data_key=_seal(self._opened(held), data_key, bound),
                sealed_value=_seal(data_key, value, bound),
            )
            await values.add(row)
        return value_id

    async def read(self, place: Place, stored_as: str) -> bytes:
        async with self.database.reading() as session:
            found = await SecretValues(session, place.tenant_id).find(stored_as)
        if found is None:
            raise SecretBroken("There is no such value, or not the key that it was sealed under.")
        return self.unsealed(place, *found)

    def unsealed(self, place: Place, row: SecretValueRow, held: VaultKeyRow) -> bytes:
        """Return the value of a row under its tenant's key: all that reading costs beside SQL. Raises SecretBroken."""
        bound = _bound(place, row.id)
        return _open(_open(self._opened(held), row.sealed_data_key, bound), row.sealed_value, bound)

    async def destroy(self, place: Place, stored_as: str) -> None:
        async with self.database.transaction() as session:
            await SecretValues(session, place.tenant_id).remove(stored_as)

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        async with self.database.transaction() as session:
            await SecretValues(session, tenant_id).remove_all()

    async def kept(self, tenant_id: TenantId) -> Sequence[Kept]:
        return []

    async def health(self) -> None:
        await self.database.ping()

    async def rotate_key(self, tenant_id: TenantId) -> int | None:
        """Seal what is written from now on under a new key of the tenant; return its number, None if it had no key.

        Raises SecretBroken if this is not the root key that the tenant's key lies under.
        """
        async with self.database.transaction() as session:
            values = SecretValues(session, tenant_id)
            while (newest := await values.newest_key()) is not None:
                self._opened(newest)  # under a wrong root key nothing new is to be sealed
                if (held := await self._new_key(values, tenant_id, number=newest.number + 1)) is not None:
                    return held.number
        return None

    async def re_wrap(self, tenant_id: TenantId) -> ReWrapped:
        """Put every value under the tenant's newest key, and remove keys that seal nothing any more.

        Interrupted at any point, it goes on when called again.
        """
        done, broken, after = 0, 0, ""
        while True:
            async with self.database.transaction() as session:
                values = SecretValues(session, tenant_id)
                newest = await values.newest_key()
                if newest is None:
                    return ReWrapped(done=done, broken=broken)
                keys = {held.id: held for held in await values.keys()}
                found = await values.under_other_keys(newest.id, after=after, limit=_AT_ONCE)
                for row, key, version in found:
                    bound = _bound(Place(tenant_id=tenant_id, key=key, version=version), row.id)
                    try:
                        data_key = _open(self._opened(keys[row.vault_key_id]), row.sealed_data_key, bound)
                    except SecretBroken:  # no read of it succeeds either; the others are not held up
                        broken += 1
                        continue
                    await values.put_under(row, newest.id, _seal(self._opened(newest), data_key, bound))
                    done += 1
                if not found:
                    await values.remove_idle_keys(newest.number)
                    return ReWrapped(done=done, broken=broken)
            after = found[-1][0].id

    async def _sealing_key(self, values: SecretValues, tenant_id: TenantId) -> VaultKeyRow:
        """Return the tenant's newest key; of several who find none, one makes the first."""
        while (held := await values.newest_key()) is None:
            if (made := await self._new_key(values, tenant_id, number=1)) is not None:
                return made
        return held

    async def _new_key(self, values: SecretValues, tenant_id: TenantId, *, number: int) -> VaultKeyRow | None:
        """Make the key of this number; None if somebody else has."""
        key_id = self.new_id()
        sealed = self.envelope.seal(secrets.token_bytes(_KEY_BYTES), purpose=_PURPOSE, place=f"{tenant_id}:{key_id}")
        row = VaultKeyRow(id=key_id, tenant_id=tenant_id, number=number, sealed_key=sealed, created_at=self.clock.now())
        return row if await values.add_key(row) else None

    def _opened(self, held: VaultKeyRow) -> bytes:
        try:
            return self.envelope.open(held.sealed_key, purpose=_PURPOSE, place=f"{held.tenant_id}:{held.id}")
        except SealBroken as error:
            raise SecretBroken("The tenant's key was sealed under another root key, or changed.") from error


def _bound(place: Place, value_id: str) -> bytes:
    """Return what the seal is bound to: each part with its length in front, so that no two places are written alike."""
    parts = [part.encode() for part in (place.tenant_id, place.key, str(place.version), value_id)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _open(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise SecretBroken("The value was changed, or lies where it was not put.") from None
