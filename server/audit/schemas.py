"""What is asked of the audit log, and answered."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from server.openapi.instant import Instant
from server.openapi.models import Answer
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import AuditEventRow


class AuditQuery(PageQuery):
    action: str | None = Field(None, max_length=100)
    actor: str | None = Field(None, max_length=60, description="`key:<id>`, `user:<id>`, `operator` or `system`.")
    resource_type: str | None = Field(None, max_length=60)
    resource_id: str | None = Field(None, max_length=255)
    request_id: str | None = Field(None, max_length=128, description="What this request changed.")
    since: Instant | None = Field(None, description="Only what happened at this moment or later.")
    until: Instant | None = Field(None, description="Only what happened before this moment.")


class AuditEvent(Answer):
    """One link of the tenant's chain. `hash` covers all other fields; docs/audit.md says how."""

    sequence: int
    id: str
    occurred_at: datetime
    actor: str
    action: str
    resource_type: str
    resource_id: str
    request_id: str | None
    details: dict[str, Any]
    previous_hash: str
    hash: str

    @classmethod
    def of(cls, row: AuditEventRow) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class AuditPage(Page[AuditEvent]):
    pass
