"""The devices and recovery codes of users, in SQL."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import UserId
from stores.sql.models import RecoveryCodeRow, TotpDeviceRow, UserRow


class TotpRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, user_id: UserId) -> TotpDeviceRow | None:
        return await self._session.get(TotpDeviceRow, user_id)

    async def locked(self, user_id: UserId) -> TotpDeviceRow | None:
        """Return the device and hold its row: codes are judged one at a time."""
        return await self._session.get(TotpDeviceRow, user_id, with_for_update=True, populate_existing=True)

    async def address_of(self, user_id: UserId) -> str:
        """Return what the user knows the account by."""
        found = await self._session.scalars(select(UserRow.email).where(UserRow.id == user_id))
        return found.one()

    async def replace(self, user_id: UserId, sealed_secret: bytes, now: datetime) -> None:
        """Put down a device that is yet to be confirmed."""
        await self.delete(user_id)
        self._session.add(TotpDeviceRow(user_id=user_id, sealed_secret=sealed_secret, created_at=now, last_step=0))
        await self._session.flush()

    async def replace_recovery_codes(self, user_id: UserId, hashes: Iterable[str]) -> None:
        await self._session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
        self._session.add_all(RecoveryCodeRow(code_hash=code_hash, user_id=user_id) for code_hash in hashes)

    async def use_recovery_code(self, user_id: UserId, code_hash: str, now: datetime) -> bool:
        """Use the code up; whether it was there to be used."""
        used = await self._session.execute(
            update(RecoveryCodeRow)
            .where(
                RecoveryCodeRow.code_hash == code_hash,
                RecoveryCodeRow.user_id == user_id,
                RecoveryCodeRow.used_at.is_(None),
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        assert isinstance(used, CursorResult)
        return int(used.rowcount) == 1

    async def delete(self, user_id: UserId) -> None:
        for model in (RecoveryCodeRow, TotpDeviceRow):
            await self._session.execute(delete(model).where(model.user_id == user_id))
        self._session.expire_all()
