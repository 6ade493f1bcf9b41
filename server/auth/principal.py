"""Who a request speaks for, and the arguments by which handlers demand a scope."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from core.ids import ApiKeyId, TenantId
from server.openapi.registry import Requires


class Scope(StrEnum):
    RAG_READ = "rag:read"
    RAG_WRITE = "rag:write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The tenant and key behind a request."""

    tenant_id: TenantId
    key_id: ApiKeyId
    scopes: frozenset[str]


RagReader = Annotated[Principal, Requires(Scope.RAG_READ)]
RagWriter = Annotated[Principal, Requires(Scope.RAG_WRITE)]
