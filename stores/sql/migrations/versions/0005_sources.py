"""Sources of documents with a cadence, and their crawls"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rag_sources",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("collection", sa.String(length=100), nullable=False),
        sa.Column("user_metadata", JSON, nullable=False),
        sa.Column("chunking", JSON, nullable=False),
        sa.Column("cadence_seconds", sa.Integer(), nullable=True),
        sa.Column("max_delete_fraction", sa.Float(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("next_crawl_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_rag_sources_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rag_sources")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_rag_sources_tenant_id_name")),
    )
    op.create_index("ix_rag_sources_next_crawl_at", "rag_sources", ["next_crawl_at"])
    op.create_table(
        "rag_crawls",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["rag_sources.id"], name=op.f("fk_rag_crawls_source_id_rag_sources"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_rag_crawls_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rag_crawls")),
        sa.UniqueConstraint("source_id", "due_at", name=op.f("uq_rag_crawls_source_id_due_at")),
    )
    op.create_index("ix_rag_crawls_state", "rag_crawls", ["state", "bucket"])
