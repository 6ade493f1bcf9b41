"""Mail that waits to be sent, and the tokens that were sent."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, UtcDateTime


class MailRow(Base):
    """What is to be told to whom, until it was: sealed, because it holds addresses. `attempts` is its fence, too."""

    __tablename__ = "mails"
    __table_args__ = (Index("ix_mails_available_at", "available_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    sealed_content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    attempts: Mapped[int] = mapped_column(Integer, default=0)


class MailedTokenRow(Base):
    """A token that was sent by mail, by its hash. A used one stays until it expires: no retry brings it back."""

    __tablename__ = "mailed_tokens"
    __table_args__ = (Index("ix_mailed_tokens_subject", "purpose", "subject"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(40))
    # A user's id, or what an address hashes to that nobody has registered yet.
    subject: Mapped[str] = mapped_column(String(64))
    sealed_content: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
