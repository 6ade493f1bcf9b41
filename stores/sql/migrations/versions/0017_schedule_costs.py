"""What an execution of a schedule may cost at most, in 64 bits as for every other execution"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # SQLite's INTEGER has 64 bits. Making the table anew there would delete what hangs on it: the runs.
    if op.get_bind().dialect.name == "sqlite":
        return
    op.alter_column(
        "flow_schedules", "max_cost_micros", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=True
    )
