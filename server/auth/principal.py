"""Who a request speaks for, and the arguments by which handlers demand a scope."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from core.ids import ApiKeyId, SessionId, TenantId, UserId
from server.openapi.registry import Requires

DEFAULT_PLAN = "default"


class Scope(StrEnum):
    """What a caller may be allowed to do; a key lists its own, a user has those of the role."""

    RAG_READ = "rag:read"
    RAG_WRITE = "rag:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    TENANT_READ = "tenant:read"
    TENANT_WRITE = "tenant:write"
    TENANT_DELETE = "tenant:delete"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    OWNERS_WRITE = "owners:write"
    AUDIT_READ = "audit:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    VAULT_LIST = "vault:list"
    VAULT_READ = "vault:read"
    VAULT_WRITE = "vault:write"
    AGENTS_READ = "agents:read"
    AGENTS_WRITE = "agents:write"
    AGENTS_EXECUTE = "agents:execute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The tenant a request acts in and who acts there: a key, or a user in a session."""

    tenant_id: TenantId
    scopes: frozenset[str]
    plan: str = DEFAULT_PLAN
    key_id: ApiKeyId | None = None
    user_id: UserId | None = None
    session_id: SessionId | None = None
    token_id: str | None = None
    token_expires_at: datetime | None = None

    @property
    def subject(self) -> str:
        """Return the actor as limits, idempotency records and the audit log know it: `key:<id>` or `user:<id>`."""
        return f"user:{self.user_id}" if self.user_id is not None else f"key:{self.key_id}"

    @property
    def user(self) -> UserId:
        """Return the user, where the handler demands a person."""
        if self.user_id is None:
            raise TypeError("a key is no person")
        return self.user_id


Anyone = Annotated[Principal, Requires(None)]
Person = Annotated[Principal, Requires(None, person=True)]
RagReader = Annotated[Principal, Requires(Scope.RAG_READ)]
RagWriter = Annotated[Principal, Requires(Scope.RAG_WRITE)]
KeyReader = Annotated[Principal, Requires(Scope.KEYS_READ)]
KeyWriter = Annotated[Principal, Requires(Scope.KEYS_WRITE)]
TenantReader = Annotated[Principal, Requires(Scope.TENANT_READ)]
TenantWriter = Annotated[Principal, Requires(Scope.TENANT_WRITE)]
TenantDeleter = Annotated[Principal, Requires(Scope.TENANT_DELETE)]
MembersReader = Annotated[Principal, Requires(Scope.MEMBERS_READ)]
MembersWriter = Annotated[Principal, Requires(Scope.MEMBERS_WRITE)]
AuditReader = Annotated[Principal, Requires(Scope.AUDIT_READ)]
WebhookReader = Annotated[Principal, Requires(Scope.WEBHOOKS_READ)]
WebhookWriter = Annotated[Principal, Requires(Scope.WEBHOOKS_WRITE)]
VaultLister = Annotated[Principal, Requires(Scope.VAULT_LIST)]
VaultReader = Annotated[Principal, Requires(Scope.VAULT_READ)]
VaultWriter = Annotated[Principal, Requires(Scope.VAULT_WRITE)]
AgentReader = Annotated[Principal, Requires(Scope.AGENTS_READ)]
AgentWriter = Annotated[Principal, Requires(Scope.AGENTS_WRITE)]
AgentExecutor = Annotated[Principal, Requires(Scope.AGENTS_EXECUTE)]
