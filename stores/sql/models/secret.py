"""Secrets: which there are, in which versions, who used them, and for the embedded store what they are, sealed."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class SecretRow(Base):
    """One key of a tenant. `version` is the current one, and `expires_at` is when that ends.

    `tags` stand between spaces: " one two ".
    """

    __tablename__ = "secrets"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index("ix_secrets_listed", "tenant_id", "created_at", "id"),
        Index(
            "ix_secrets_expires_at",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
        Index(
            "ix_secrets_deleted_at",
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    key: Mapped[str] = mapped_column(String(255))
    version: Mapped[int] = mapped_column(Integer)
    tags: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    require_mfa: Mapped[bool] = mapped_column(Boolean)
    allowed_hosts: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(60))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SecretVersionRow(Base):
    """What was stored once under a key. `stored_as` is how the store of values knows it."""

    __tablename__ = "secret_versions"

    secret_id: Mapped[str] = mapped_column(Id, ForeignKey("secrets.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    stored_as: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(60))
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SecretUseRow(Base):
    """Once that a version was given out, and to whom."""

    __tablename__ = "secret_uses"
    __table_args__ = (Index("ix_secret_uses_listed", "secret_id", "used_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    secret_id: Mapped[str] = mapped_column(Id, ForeignKey("secrets.id", ondelete="CASCADE"))
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    version: Mapped[int] = mapped_column(Integer)
    principal: Mapped[str] = mapped_column(String(60))
    flow: Mapped[str | None] = mapped_column(String(100))
    execution: Mapped[str | None] = mapped_column(String(100))
    host: Mapped[str | None] = mapped_column(String(255))
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)


class VaultKeyRow(Base):
    """A tenant's key, sealed under the root key. Values are sealed under keys that the newest of these seals."""

    __tablename__ = "vault_keys"
    __table_args__ = (UniqueConstraint("tenant_id", "number"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    number: Mapped[int] = mapped_column(Integer)
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SecretValueRow(Base):
    """A value as the embedded store keeps it: sealed under a key of its own, which a tenant's key seals."""

    __tablename__ = "secret_values"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), index=True)
    vault_key_id: Mapped[str] = mapped_column(Id, ForeignKey("vault_keys.id"), index=True)
    sealed_data_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_value: Mapped[bytes] = mapped_column(LargeBinary)


class SecretRemovalRow(Base):
    """A value that a store elsewhere is to destroy from `due_at` on: the row is there until it has.

    One is written before each value is, and deleted with the commit that makes that a version. Without a key: all of
    the tenant's. `attempts` is how often that failed.
    """

    __tablename__ = "secret_removals"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    key: Mapped[str] = mapped_column(String(255))
    stored_as: Mapped[str] = mapped_column(String(255))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
