"""Whether the catalogue and the store of values agree: what is lost, and what nobody knows of."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core.ids import TenantId
from stores.secret_removals import keys_of_removals
from stores.secrets import Described, exported
from stores.sql.engine import Database
from vault.elsewhere import place_of
from vault.safe import Safe
from vault.store import Kept, Place, SecretBroken

_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`lost`: versions that the catalogue has and that cannot be read. `strays`: values that are no version's."""

    good: int
    lost: Sequence[tuple[str, int]]
    strays: Sequence[Kept]


async def check(safe: Safe, tenant_id: TenantId) -> Checked:
    """Compare, while everything runs. What is being written or destroyed meanwhile counts as neither."""
    known = await _known(safe, tenant_id)
    if safe.store.joins_transactions:
        lost = [at for at, stored_as in known.items() if not await _opens(safe, tenant_id, at, stored_as)]
        still = await _known(safe, tenant_id)
        lost = [version for version in lost if version in still]
        return Checked(good=len(known) - len(lost), lost=lost, strays=[])
    kept = set(await safe.store.kept(tenant_id))
    under_way = await safe.database.read(keys_of_removals(tenant_id))
    still = await _known(safe, tenant_id)
    versions = {at: _kept_as(at[0], stored_as) for at, stored_as in still.items()}
    lost = [at for at in known if at in versions and versions[at] not in kept]
    strays = [each for each in kept - set(versions.values()) if each.key not in under_way and "" not in under_way]
    strays.sort(key=lambda stray: (stray.key, stray.number))
    return Checked(good=len(known) - len(lost), lost=lost, strays=strays)


async def destroy_strays(safe: Safe, tenant_id: TenantId, strays: Sequence[Kept]) -> None:
    """Destroy values that are no version's."""
    for stray in strays:
        await safe.store.destroy(place_of(tenant_id, stray.key), f"{stray.number}:")


async def every_secret(database: Database, tenant_id: TenantId | None = None) -> AsyncIterator[Described]:
    """Yield what is known of each secret of a tenant, or of all."""
    last = ""
    while found := await database.read(exported(tenant_id=tenant_id, after=last, limit=_AT_ONCE)):
        for described in found:
            yield described
        last = found[-1][0].id


async def _known(safe: Safe, tenant_id: TenantId) -> dict[tuple[str, int], str]:
    return {
        (secret.key, version.number): version.stored_as
        async for secret, versions in every_secret(safe.database, tenant_id)
        for version in versions
        if version.destroyed_at is None
    }


async def _opens(safe: Safe, tenant_id: TenantId, at: tuple[str, int], stored_as: str) -> bool:
    with suppress(SecretBroken):
        await safe.store.read(Place(tenant_id=tenant_id, key=at[0], version=at[1]), stored_as)
        return True
    return False


def _kept_as(key: str, stored_as: str) -> Kept:
    return Kept(key=key, number=stored_as.partition(":")[0])
