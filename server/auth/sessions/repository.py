"""People, sessions and refresh tokens in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CursorResult, Update, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import SessionId, TenantId, UserId
from stores.sql.models import (
    MembershipRow,
    RefreshTokenRow,
    RevokedTokenRow,
    Role,
    SessionRow,
    TenantRow,
    UserRow,
)


class SessionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def user_of(self, email: str) -> UserRow | None:
        found: UserRow | None = await self._session.scalar(select(UserRow).where(UserRow.email == email))
        return found

    async def user(self, user_id: UserId) -> UserRow | None:
        return await self._session.get(UserRow, user_id, populate_existing=True)

    async def held_hash(self, user_id: UserId) -> str | None:
        """Return the password's hash of a user who is not disabled, and hold the row.

        While it is held no password changes, and rows that refer to it can be written: NO KEY UPDATE.
        """
        query = select(UserRow.password_hash).where(UserRow.id == user_id, UserRow.disabled_at.is_(None))
        return await self._session.scalar(query.with_for_update(key_share=True))

    async def add_user(self, user_id: UserId, *, email: str, name: str, password_hash: str, now: datetime) -> bool:
        """Put a person down; whether the address was still free."""
        try:
            async with self._session.begin_nested():
                self._session.add(
                    UserRow(
                        id=user_id, email=email, name=name, password_hash=password_hash, created_at=now, updated_at=now
                    )
                )
        except IntegrityError:
            return False
        return True

    async def add_tenant(self, tenant_id: TenantId, name: str, owner: UserId, now: datetime) -> None:
        self._session.add(TenantRow(id=tenant_id, name=name, created_at=now))
        await self._session.flush()  # the membership refers to it
        self._session.add(
            MembershipRow(tenant_id=tenant_id, user_id=owner, role=Role.OWNER, created_at=now, updated_at=now)
        )

    async def set_password_hash(self, user_id: UserId, password_hash: str, *, instead_of: str, now: datetime) -> bool:
        """Replace the hash that was compared; whether it is still that one."""
        return await self._one(
            update(UserRow)
            .where(UserRow.id == user_id, UserRow.password_hash == instead_of)
            .values(password_hash=password_hash, updated_at=now)
        )

    async def add_session(self, session_id: SessionId, user_id: UserId, now: datetime, expires_at: datetime) -> None:
        self._session.add(SessionRow(id=session_id, user_id=user_id, created_at=now, expires_at=expires_at))
        await self._session.flush()  # its refresh token refers to it

    def add_refresh_token(self, token_hash: str, session_id: SessionId, now: datetime, expires_at: datetime) -> None:
        self._session.add(
            RefreshTokenRow(token_hash=token_hash, session_id=session_id, issued_at=now, expires_at=expires_at)
        )

    async def refresh_token(self, token_hash: str) -> tuple[RefreshTokenRow, SessionRow, UserRow] | None:
        found = await self._session.execute(
            select(RefreshTokenRow, SessionRow, UserRow)
            .join(SessionRow, SessionRow.id == RefreshTokenRow.session_id)
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .where(RefreshTokenRow.token_hash == token_hash)
        )
        row = found.one_or_none()
        return (row[0], row[1], row[2]) if row is not None else None

    async def use_refresh_token(self, token_hash: str, now: datetime) -> bool:
        """Use the token up; whether it was there to be used. Of many at once exactly one is told so."""
        return await self._one(
            update(RefreshTokenRow)
            .where(RefreshTokenRow.token_hash == token_hash, RefreshTokenRow.used_at.is_(None))
            .values(used_at=now)
        )

    async def prolong(self, session_id: SessionId, expires_at: datetime) -> bool:
        """Let a session live on; whether it was not revoked meanwhile."""
        return await self._one(
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.revoked_at.is_(None))
            .values(expires_at=expires_at)
        )

    async def revoke(self, user_id: UserId, session_id: SessionId, because: str, now: datetime) -> bool:
        """End one session of the user; whether there was one to end."""
        return await self._one(
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=now, revoked_because=because)
        )

    async def revoke_others(self, user_id: UserId, kept: SessionId | None, because: str, now: datetime) -> int:
        """End every session of the user but `kept`; return how many that were."""
        others = (
            update(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=now, revoked_because=because)
            .execution_options(synchronize_session=False)
        )
        ended = await self._session.execute(others.where(SessionRow.id != kept) if kept is not None else others)
        assert isinstance(ended, CursorResult)
        return int(ended.rowcount)

    async def revoke_token(self, token_id: str, now: datetime, expires_at: datetime) -> None:
        await self._session.merge(RevokedTokenRow(jti=token_id, revoked_at=now, expires_at=expires_at))

    async def living(self, user_id: UserId, now: datetime, limit: int) -> Sequence[SessionRow]:
        """Return the sessions of the user that can still be refreshed, the newest first."""
        found = await self._session.scalars(
            select(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None), SessionRow.expires_at > now)
            .order_by(SessionRow.created_at.desc(), SessionRow.id.desc())
            .limit(limit)
        )
        return found.all()

    async def _one(self, change: Update) -> bool:
        changed = await self._session.execute(change.execution_options(synchronize_session=False))
        assert isinstance(changed, CursorResult)
        return int(changed.rowcount) == 1
