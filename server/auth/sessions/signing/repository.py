"""Signing keys in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from stores.sql.models import SigningKeyRow


class SigningKeyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> Sequence[SigningKeyRow]:
        """Return every key, the one that signs last in the end."""
        return (
            await self._session.scalars(select(SigningKeyRow).order_by(SigningKeyRow.signs_from, SigningKeyRow.kid))
        ).all()

    async def add(self, *, kid: str, public: str, sealed_private: bytes, now: datetime, signs_from: datetime) -> bool:
        """Put a key down; whether this kid was still free."""
        try:
            async with self._session.begin_nested():
                self._session.add(
                    SigningKeyRow(
                        kid=kid,
                        public_key=public,
                        sealed_private_key=sealed_private,
                        created_at=now,
                        signs_from=signs_from,
                    )
                )
        except IntegrityError:
            return False
        return True

    async def retire_others(self, kid: str, at: datetime) -> None:
        await self._session.execute(
            update(SigningKeyRow)
            .where(SigningKeyRow.kid != kid, SigningKeyRow.retired_at.is_(None))
            .values(retired_at=at)
            .execution_options(synchronize_session=False)
        )
