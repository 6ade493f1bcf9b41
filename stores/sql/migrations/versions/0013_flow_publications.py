"""When versions of flows were published"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("flow_versions", sa.Column("published_at", sa.DateTime(timezone=True), nullable=True))
    # Those that run until now were published at some time; when they were written is the best that is known.
    op.execute(
        "UPDATE flow_versions SET published_at = created_at WHERE EXISTS (SELECT 1 FROM flows "
        "WHERE flows.id = flow_versions.flow_id AND flows.published_number = flow_versions.number)"
    )
