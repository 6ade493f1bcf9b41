"""Mailed tokens in SQL, by their hashes."""

from datetime import datetime

from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from stores.sql.models import MailedTokenRow


class MailedTokenRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, token_hash: str) -> MailedTokenRow | None:
        return await self._session.get(MailedTokenRow, token_hash, populate_existing=True)

    def add(self, row: MailedTokenRow) -> None:
        self._session.add(row)

    async def valid(self, token_hash: str, purpose: str, now: datetime) -> MailedTokenRow | None:
        found: MailedTokenRow | None = await self._session.scalar(
            select(MailedTokenRow).where(
                MailedTokenRow.token_hash == token_hash,
                MailedTokenRow.purpose == purpose,
                MailedTokenRow.used_at.is_(None),
                MailedTokenRow.expires_at > now,
            )
        )
        return found

    async def use(self, token_hash: str, purpose: str, now: datetime) -> bool:
        """Use the token up; whether it was there to be used. Of many at once exactly one is told so."""
        used = await self._session.execute(
            update(MailedTokenRow)
            .where(
                MailedTokenRow.token_hash == token_hash,
                MailedTokenRow.purpose == purpose,
                MailedTokenRow.used_at.is_(None),
                MailedTokenRow.expires_at > now,
            )
            .values(used_at=now, sealed_content=None)
            .execution_options(synchronize_session=False)
        )
        assert isinstance(used, CursorResult)
        return int(used.rowcount) == 1

    async def end_all_of(self, purpose: str, subject: str, now: datetime) -> None:
        await self._session.execute(
            update(MailedTokenRow)
            .where(
                MailedTokenRow.purpose == purpose, MailedTokenRow.subject == subject, MailedTokenRow.used_at.is_(None)
            )
            .values(used_at=now, sealed_content=None)
            .execution_options(synchronize_session=False)
        )
