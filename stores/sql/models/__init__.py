"""Tables, one file per noun. Importing this package knows them all (Alembic needs that)."""

from stores.sql.models.base import Base
from stores.sql.models.document import DocumentRevisionRow, DocumentRow, DocumentStatus
from stores.sql.models.job import JobKind, JobRow, JobStatus, Lane
from stores.sql.models.lease import LeaseRow
from stores.sql.models.outbox import OutboxRow
from stores.sql.models.tenant import ApiKeyRow, TenantRow

__all__ = [
    "ApiKeyRow",
    "Base",
    "DocumentRevisionRow",
    "DocumentRow",
    "DocumentStatus",
    "JobKind",
    "JobRow",
    "JobStatus",
    "Lane",
    "LeaseRow",
    "OutboxRow",
    "TenantRow",
]
