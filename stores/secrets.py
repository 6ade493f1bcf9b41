"""Which secrets a tenant has, in which versions, and who was given them. What they are is kept elsewhere."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Select, delete, exists, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Reader

from core.ids import TenantId
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import SecretRow, SecretUseRow, SecretVersionRow, TenantRow, VaultKeyRow
from stores.sql.repository import TenantRepository

After = tuple[datetime, str] | None
Described = tuple[SecretRow, Sequence[SecretVersionRow]]


class Secrets(TenantRepository):
    """The catalogue of one tenant, in a transaction."""

    async def find(self, key: str) -> SecretRow | None:
        return await self._session.scalar(self.rows_of(SecretRow).where(SecretRow.key == key))

    async def locked(self, key: str) -> SecretRow | None:
        """Return the secret and hold its row: changes of it follow one another."""
        query = self.rows_of(SecretRow).where(SecretRow.key == key).with_for_update()
        return await self._session.scalar(query.execution_options(populate_existing=True))

    async def add(self, row: SecretRow) -> bool:
        """Add the secret; whether nobody was first."""
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    async def add_version(self, row: SecretVersionRow) -> None:
        self._session.add(row)
        await self._session.flush()

    def add_use(self, row: SecretUseRow) -> None:
        self._session.add(row)

    async def version(self, secret_id: str, number: int) -> SecretVersionRow | None:
        """Return a version that was not destroyed."""
        query = self.rows_of(SecretVersionRow).where(
            SecretVersionRow.secret_id == secret_id,
            SecretVersionRow.number == number,
            SecretVersionRow.destroyed_at.is_(None),
        )
        return await self._session.scalar(query)

    async def newest_number(self, secret_id: str) -> int:
        """Return the highest number a version ever had; destroyed ones count."""
        query = select(func.max(SecretVersionRow.number)).where(SecretVersionRow.secret_id == secret_id)
        return await self._session.scalar(query) or 0

    async def versions(self, secret_id: str, numbers: Iterable[int] | None = None) -> Sequence[SecretVersionRow]:
        """Return versions that were not destroyed, oldest first: these, or all."""
        query = self.rows_of(SecretVersionRow).where(
            SecretVersionRow.secret_id == secret_id, SecretVersionRow.destroyed_at.is_(None)
        )
        if numbers is not None:
            query = query.where(SecretVersionRow.number.in_(list(numbers)))
        return (await self._session.scalars(query.order_by(SecretVersionRow.number))).all()

    async def remove(self, row: SecretRow) -> None:
        """Delete the secret and, in the database, its versions and uses."""
        await self._session.execute(
            delete(SecretRow).where(SecretRow.id == row.id).execution_options(synchronize_session=False)
        )
        self._session.expunge(row)

    async def remove_all(self) -> None:
        """Delete every secret of the tenant, with versions and uses."""
        await self._session.execute(
            delete(SecretRow).where(SecretRow.tenant_id == self.tenant_id).execution_options(synchronize_session=False)
        )


def secrets_page(
    tenant_id: TenantId,
    *,
    tag: str | None,
    expires_before: datetime | None,
    deleted: bool,
    after: After,
    offset: int,
    limit: int,
) -> Callable[[Reader], Slice[SecretRow]]:
    """Return what reads one page of a tenant's secrets, newest first."""
    found = select(SecretRow).where(SecretRow.tenant_id == tenant_id)
    found = found.where(SecretRow.deleted_at.is_not(None) if deleted else SecretRow.deleted_at.is_(None))
    if tag is not None:  # by replace, because LIKE takes upper and lower case for one on SQLite
        found = found.where(func.replace(SecretRow.tags, f" {tag} ", "") != SecretRow.tags)
    if expires_before is not None:
        found = found.where(SecretRow.expires_at < expires_before)
    page = newest_first(found, SecretRow.created_at, SecretRow.id, after=after, offset=offset, limit=limit + 1)
    return slice_of(found, page, limit=limit)


def versions_page(
    tenant_id: TenantId, secret_id: str, *, before: int | None, offset: int, limit: int
) -> Callable[[Reader], Slice[SecretVersionRow]]:
    """Return what reads one page of a secret's versions, newest first."""
    found: Select[SecretVersionRow] = select(SecretVersionRow).where(
        SecretVersionRow.tenant_id == tenant_id, SecretVersionRow.secret_id == secret_id
    )
    page = found.order_by(SecretVersionRow.number.desc()).offset(offset).limit(limit + 1)
    if before is not None:
        page = page.where(SecretVersionRow.number < before)
    return slice_of(found, page, limit=limit)


def uses_page(
    tenant_id: TenantId, secret_id: str, *, after: After, offset: int, limit: int
) -> Callable[[Reader], Slice[SecretUseRow]]:
    """Return what reads one page of a secret's uses, newest first."""
    found = select(SecretUseRow).where(SecretUseRow.tenant_id == tenant_id, SecretUseRow.secret_id == secret_id)
    page = newest_first(found, SecretUseRow.used_at, SecretUseRow.id, after=after, offset=offset, limit=limit + 1)
    return slice_of(found, page, limit=limit)


def ending(before: datetime, *, limit: int, after: str) -> Callable[[Reader], Sequence[SecretRow]]:
    """Return what reads secrets of all tenants that end before a moment and are not deleted, by id from behind one."""
    query = (
        select(SecretRow)
        .where(SecretRow.expires_at < before, SecretRow.deleted_at.is_(None), SecretRow.id > after)
        .order_by(SecretRow.id)
        .limit(limit)
    )
    return lambda session: session.scalars(query).all()


def tenants_gone(session: Reader) -> Sequence[TenantId]:
    """Return tenants that were deleted and still have secrets, or keys that seal some."""
    has_any = or_(
        exists().where(SecretRow.tenant_id == TenantRow.id), exists().where(VaultKeyRow.tenant_id == TenantRow.id)
    )
    found = session.scalars(select(TenantRow.id).where(TenantRow.deleted_at.is_not(None), has_any))
    return [TenantId(tenant_id) for tenant_id in found]


def deleted_before(moment: datetime, *, limit: int) -> Callable[[Reader], Sequence[SecretRow]]:
    """Return what reads secrets of all tenants that were deleted before a moment."""
    query = select(SecretRow).where(SecretRow.deleted_at < moment).order_by(SecretRow.id).limit(limit)
    return lambda session: session.scalars(query).all()


def exported(*, tenant_id: TenantId | None, after: str, limit: int) -> Callable[[Reader], list[Described]]:
    """Return what reads secrets of one tenant or all, by id from behind one, each with all of its versions."""
    query = select(SecretRow).where(SecretRow.id > after).order_by(SecretRow.id).limit(limit)
    if tenant_id is not None:
        query = query.where(SecretRow.tenant_id == tenant_id)

    def read(session: Reader) -> list[Described]:
        secrets = session.scalars(query).all()
        versions = defaultdict(list)
        wanted = SecretVersionRow.secret_id.in_([secret.id for secret in secrets])
        for version in session.scalars(select(SecretVersionRow).where(wanted).order_by(SecretVersionRow.number)):
            versions[version.secret_id].append(version)
        return [(secret, versions[secret.id]) for secret in secrets]

    return read
