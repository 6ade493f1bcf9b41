"""Tables, one file per noun. Importing this package knows them all (Alembic needs that)."""

from stores.sql.models.audit import AuditEventRow, AuditHeadRow
from stores.sql.models.base import Base
from stores.sql.models.document import DocumentRevisionRow, DocumentRow, DocumentStatus
from stores.sql.models.execution import (
    ExecutionCallRow,
    ExecutionEventRow,
    ExecutionRow,
    ExecutionSignalRow,
    ExecutionState,
    ExecutionStepRow,
    ExecutionWaitRow,
    StepState,
)
from stores.sql.models.flow import FlowRow, FlowScheduleRow, FlowVersionRow
from stores.sql.models.generation import (
    GenerationDocumentRow,
    GenerationRow,
    GenerationState,
    GoldenSetRow,
    IndexMoveRow,
    IndexPointerRow,
    IndexTagRow,
)
from stores.sql.models.idempotency import IdempotencyRow
from stores.sql.models.job import JobKind, JobRow, JobStatus, Lane
from stores.sql.models.lease import LeaseRow
from stores.sql.models.mail import MailedTokenRow, MailRow
from stores.sql.models.outbox import OutboxRow
from stores.sql.models.secret import (
    SecretRemovalRow,
    SecretRow,
    SecretUseRow,
    SecretValueRow,
    SecretVersionRow,
    VaultKeyRow,
)
from stores.sql.models.source import CrawlRow, CrawlState, SourcePushRow, SourceRow
from stores.sql.models.tenant import ApiKeyRow, TenantRow
from stores.sql.models.user import (
    InvitationRow,
    MembershipRow,
    RecoveryCodeRow,
    RefreshTokenRow,
    RevokedTokenRow,
    Role,
    SessionRow,
    SigningKeyRow,
    TotpDeviceRow,
    UserRow,
)
from stores.sql.models.webhook import (
    DeliveryState,
    EventSequenceRow,
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)

__all__ = [
    "ApiKeyRow",
    "AuditEventRow",
    "AuditHeadRow",
    "Base",
    "CrawlRow",
    "CrawlState",
    "DeliveryState",
    "DocumentRevisionRow",
    "DocumentRow",
    "DocumentStatus",
    "EventSequenceRow",
    "ExecutionCallRow",
    "ExecutionEventRow",
    "ExecutionRow",
    "ExecutionSignalRow",
    "ExecutionState",
    "ExecutionStepRow",
    "ExecutionWaitRow",
    "FlowRow",
    "FlowScheduleRow",
    "FlowVersionRow",
    "GenerationDocumentRow",
    "GenerationRow",
    "GenerationState",
    "GoldenSetRow",
    "IdempotencyRow",
    "IndexMoveRow",
    "IndexPointerRow",
    "IndexTagRow",
    "InvitationRow",
    "JobKind",
    "JobRow",
    "JobStatus",
    "Lane",
    "LeaseRow",
    "MailRow",
    "MailedTokenRow",
    "MembershipRow",
    "OutboxRow",
    "RecoveryCodeRow",
    "RefreshTokenRow",
    "RevokedTokenRow",
    "Role",
    "SecretRemovalRow",
    "SecretRow",
    "SecretUseRow",
    "SecretValueRow",
    "SecretVersionRow",
    "SessionRow",
    "SigningKeyRow",
    "SourcePushRow",
    "SourceRow",
    "StepState",
    "TenantRow",
    "TotpDeviceRow",
    "UserRow",
    "VaultKeyRow",
    "WebhookAttemptRow",
    "WebhookDeliveryRow",
    "WebhookEndpointRow",
]
