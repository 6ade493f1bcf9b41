"""The event catalogue: what the platform tells the world, each name written once."""

from enum import StrEnum


class EventType(StrEnum):
    """Names are `<room>.<noun>.<past participle>`. A new one needs its payload in server/webhooks/events."""

    AGENT_EXECUTION_STARTED = "agent.execution.started"
    AGENT_EXECUTION_COMPLETED = "agent.execution.completed"
    AGENT_EXECUTION_FAILED = "agent.execution.failed"
    API_VERSION_SUNSET_SCHEDULED = "api.version.sunset_scheduled"
    DATA_ASSET_MATERIALIZED = "data.asset.materialized"
    DATA_ASSET_CHECK_FAILED = "data.asset_check.failed"
    DATA_RUN_SUCCEEDED = "data.run.succeeded"
    DATA_RUN_FAILED = "data.run.failed"
    MARKETPLACE_PURCHASE_COMPLETED = "marketplace.purchase.completed"
    RAG_DOCUMENT_INDEXED = "rag.document.indexed"
    RAG_DOCUMENT_FAILED = "rag.document.failed"
    RAG_DOCUMENT_DELETED = "rag.document.deleted"
    RAG_GENERATION_CREATED = "rag.generation.created"
    RAG_GENERATION_READY = "rag.generation.ready"
    RAG_INDEX_PROMOTED = "rag.index.promoted"
    RAG_GENERATION_ROLLED_BACK = "rag.generation.rolled_back"
    RAG_GENERATION_RETIRED = "rag.generation.retired"
    RAG_SOURCE_CRAWLED = "rag.source.crawled"
    RAG_SOURCE_BRAKED = "rag.source.braked"
    RAG_SOURCE_FAILED = "rag.source.failed"
    USAGE_THRESHOLD_REACHED = "usage.threshold.reached"
    VAULT_SECRET_ACCESSED = "vault.secret.accessed"
    WEBHOOK_ENDPOINT_DISABLED = "webhook.endpoint.disabled"
