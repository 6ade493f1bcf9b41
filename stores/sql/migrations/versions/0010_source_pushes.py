"""Secrets by which sources take pushes, and the pushes that they took"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("rag_sources", sa.Column("sealed_webhook_secret", sa.LargeBinary(), nullable=True))
    op.create_table(
        "rag_source_pushes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("delivery_id", sa.String(length=100), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["rag_sources.id"],
            name=op.f("fk_rag_source_pushes_source_id_rag_sources"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_rag_source_pushes_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rag_source_pushes")),
        sa.UniqueConstraint("source_id", "delivery_id", name=op.f("uq_rag_source_pushes_source_id_delivery_id")),
        sa.UniqueConstraint("source_id", "body_sha256", name=op.f("uq_rag_source_pushes_source_id_body_sha256")),
    )
    op.create_index("ix_rag_source_pushes_received_at", "rag_source_pushes", ["received_at"])
