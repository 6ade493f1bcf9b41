"""The collection of each revision, so that an old one is indexed where it was"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Nullable: no table is written anew, and workers of the release before go on while this one is started.
    op.add_column("document_revisions", sa.Column("collection", sa.String(length=200), nullable=True))
