"""Where a crawl has come to, and what of it could not be fetched"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("rag_crawls", sa.Column("cursor", sa.Text(), nullable=True))
    op.add_column("rag_crawls", sa.Column("failures", JSON, nullable=True))
