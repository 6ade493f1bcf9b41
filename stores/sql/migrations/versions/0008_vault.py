"""Secrets, their versions and uses; tenants' keys and the values they seal"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ENDING = sa.text("expires_at IS NOT NULL")
DELETED = sa.text("deleted_at IS NOT NULL")


def upgrade() -> None:
    _create_secrets()
    _create_versions_and_uses()
    _create_values()


def _create_secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("require_mfa", sa.Boolean(), nullable=False),
        sa.Column("allowed_hosts", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=60), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_secrets_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_secrets_tenant_id_key")),
    )
    op.create_index("ix_secrets_listed", "secrets", ["tenant_id", "created_at", "id"])
    op.create_index("ix_secrets_expires_at", "secrets", ["expires_at"], sqlite_where=ENDING, postgresql_where=ENDING)
    op.create_index("ix_secrets_deleted_at", "secrets", ["deleted_at"], sqlite_where=DELETED, postgresql_where=DELETED)


def _create_versions_and_uses() -> None:
    op.create_table(
        "secret_versions",
        sa.Column("secret_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("stored_as", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=60), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        _of_secret("secret_versions"),
        _of_tenant("secret_versions"),
        sa.PrimaryKeyConstraint("secret_id", "number", name=op.f("pk_secret_versions")),
    )
    op.create_table(
        "secret_uses",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("secret_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("principal", sa.String(length=60), nullable=False),
        sa.Column("flow", sa.String(length=100), nullable=True),
        sa.Column("execution", sa.String(length=100), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        _of_secret("secret_uses"),
        _of_tenant("secret_uses"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_uses")),
    )
    op.create_index("ix_secret_uses_listed", "secret_uses", ["secret_id", "used_at", "id"])


def _create_values() -> None:
    op.create_table(
        "vault_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _of_tenant("vault_keys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_keys")),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("uq_vault_keys_tenant_id_number")),
    )
    op.create_table(
        "secret_values",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("vault_key_id", sa.String(length=36), nullable=False),
        sa.Column("sealed_data_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_value", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vault_key_id"], ["vault_keys.id"], name=op.f("fk_secret_values_vault_key_id_vault_keys")
        ),
        _of_tenant("secret_values"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_values")),
    )
    op.create_index("ix_secret_values_tenant_id", "secret_values", ["tenant_id"])
    op.create_index("ix_secret_values_vault_key_id", "secret_values", ["vault_key_id"])


def _of_tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id_tenants"))


def _of_secret(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_secret_id_secrets")
    return sa.ForeignKeyConstraint(["secret_id"], ["secrets.id"], name=name, ondelete="CASCADE")
