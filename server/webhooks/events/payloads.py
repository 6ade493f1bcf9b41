"""What each type of event tells: its `data`, field by field, with an example.

A consumer may rely on what is here, and should bear with fields that are added.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.events import EventType

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

_DOCUMENT = "0192f0c1-2b7e-7c3a-9d54-1f1e6a0b7c11"
_JOB = "0192f0c1-2b7f-7d01-8a3e-5b0c9e1d2f33"
_GENERATION = "0192f0c1-30aa-7b6d-bb1f-8c7d6e5f4a22"
_SOURCE = "0192f0c1-3a10-7e42-a6c5-3d2e1f0a9b88"
_CRAWL = "0192f0c1-3a11-7f90-9b7d-6e5d4c3b2a19"
_EXECUTION = "0192f0c1-41cd-7a15-8e2f-0f9e8d7c6b5a"
_FLOW = "0192f0c1-41ce-7c88-b3a4-7a6b5c4d3e2f"
_RUN = "5a0b2c0e-6f0d-4a57-9a39-5b8f3f0e5d10"
_PRINCIPAL = "key:0192f0c1-4b01-7d2e-a9f8-2b1a0c9d8e7f"
_PURCHASE = "0192f0c1-52f3-7b44-8c6d-9e8f7a6b5c4d"
_LISTING = "0192f0c1-52f4-7e19-b2c3-1a2b3c4d5e6f"
_ENDPOINT = "0192f0c1-5c22-7a73-9f0e-4d5e6f7a8b9c"


class Payload(BaseModel):
    """Base of every `data`. Its subclasses' docstrings say when the event happens."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    example: ClassVar[Mapping[str, Any]]


class Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    code: str
    message: str


class _Execution(Payload):
    execution_id: str
    flow_id: str


class ExecutionStarted(_Execution):
    """An execution of an agent has begun."""

    status: Literal["running"]
    example = {"execution_id": _EXECUTION, "flow_id": _FLOW, "status": "running"}


class ExecutionCompleted(_Execution):
    """An execution of an agent is over, with a result."""

    status: Literal["completed"]
    result: Any
    example = {
        "execution_id": _EXECUTION,
        "flow_id": _FLOW,
        "status": "completed",
        "result": {"message": "The dome opens at dusk."},
    }


class ExecutionFailed(_Execution):
    """An execution of an agent is over, without a result."""

    status: Literal["failed"]
    error: Fault
    example = {
        "execution_id": _EXECUTION,
        "flow_id": _FLOW,
        "status": "failed",
        "error": {"code": "EXECUTION_TIMEOUT", "message": "The execution took longer than its flow allows."},
    }


class SunsetScheduled(Payload):
    """A version of the API will stop answering, six months from the announcement at the earliest."""

    version: str
    sunset_at: Moment
    successor: str
    example = {"version": "v0", "sunset_at": "2027-06-01T00:00:00Z", "successor": "v1"}


class AssetMaterialized(Payload):
    """An asset of the data platform was made anew."""

    run_id: str
    asset: str = Field(description="The parts of its key, with / between them.")
    partition: str | None
    example = {"run_id": _RUN, "asset": "rag/chunks", "partition": "07"}


class AssetCheckFailed(Payload):
    """A check of an asset found fault with it."""

    run_id: str
    asset: str
    check: str
    partition: str | None
    severity: Literal["warn", "error"]
    description: str | None
    example = {
        "run_id": _RUN,
        "asset": "rag/chunks",
        "check": "chunks_have_text",
        "partition": "07",
        "severity": "error",
        "description": "3 of 1200 chunks are empty.",
    }


class _Run(Payload):
    run_id: str
    job: str | None
    partition: str | None


class RunSucceeded(_Run):
    """A run of a job of the data platform has done what it was to do."""

    status: Literal["succeeded"]
    example = {"run_id": _RUN, "job": "crawl_sources", "status": "succeeded", "partition": "07"}


class RunFailed(_Run):
    """A run of a job of the data platform has ended before it was done."""

    status: Literal["failed", "canceled"]
    example = {"run_id": _RUN, "job": "crawl_sources", "status": "failed", "partition": "07"}


class PurchaseCompleted(Payload):
    """Something of the marketplace was bought and paid for."""

    purchase_id: str
    listing_id: str
    amount_cents: int
    currency: str
    example = {"purchase_id": _PURCHASE, "listing_id": _LISTING, "amount_cents": 4900, "currency": "usd"}


class _Document(Payload):
    document_id: str
    revision: int
    job_id: str


class DocumentIndexed(_Document):
    """A revision of a document is found by queries from now on."""

    chunks: int
    example = {"document_id": _DOCUMENT, "revision": 1, "job_id": _JOB, "chunks": 12}


class DocumentFailed(_Document):
    """A revision of a document could not be indexed, and will not be tried again by itself."""

    error: Fault
    example = {
        "document_id": _DOCUMENT,
        "revision": 1,
        "job_id": _JOB,
        "error": {"code": "PARSE_FAILED", "message": "The file is not one we can read."},
    }


class DocumentDeleted(_Document):
    """A document is in no answer any more."""

    example = {"document_id": _DOCUMENT, "revision": 2, "job_id": _JOB}


class _Generation(Payload):
    generation_id: str
    number: int
    example = {"generation_id": _GENERATION, "number": 2}


class GenerationCreated(_Generation):
    """Another index is being built beside the one that answers."""


class GenerationReady(_Generation):
    """An index is in step with the documents, and can be promoted."""


class GenerationPromoted(_Generation):
    """An index answers queries from now on."""


class GenerationRolledBack(_Generation):
    """The index that answered before answers again."""


class GenerationRetired(_Generation):
    """An index was taken out of use."""


class _Crawl(Payload):
    source_id: str
    crawl_id: str
    name: str
    listed: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0


class SourceCrawled(_Crawl):
    """A crawl has brought a source's documents in step."""

    example = {"source_id": _SOURCE, "crawl_id": _CRAWL, "name": "handbook", "listed": 40, "new": 2, "unchanged": 38}


class _Stopped(_Crawl):
    error_code: str | None = None
    error_message: str | None = None


class SourceBraked(_Stopped):
    """A crawl would have deleted more than its source permits, and deleted nothing."""

    example = {
        "source_id": _SOURCE,
        "crawl_id": _CRAWL,
        "name": "handbook",
        "listed": 3,
        "error_code": "CRAWL_BRAKED",
        "error_message": "37 of 40 documents would be deleted, more than a fifth. Raise max_delete_fraction.",
    }


class SourceFailed(_Stopped):
    """A crawl broke off; it deleted nothing."""

    example = {
        "source_id": _SOURCE,
        "crawl_id": _CRAWL,
        "name": "handbook",
        "error_code": "SOURCE_UNAVAILABLE",
        "error_message": "The site did not answer in time.",
    }


class ThresholdReached(Payload):
    """So much of a quota is used."""

    meter: str
    used: int
    quota: int
    percent: int
    period_ends_at: Moment
    example = {
        "meter": "rag.queries",
        "used": 8_000,
        "quota": 10_000,
        "percent": 80,
        "period_ends_at": "2026-12-01T00:00:00Z",
    }


class _Secret(Payload):
    # What a secret is stands in none of these, nor anything that is made of it.
    key: str
    version: int


class SecretCreated(_Secret):
    """A secret of the vault was stored under a new key."""

    principal: str = Field(description="`key:<id>` or `user:<id>`.")
    example = {"key": "stripe/live", "version": 1, "principal": _PRINCIPAL}


class SecretRotated(_Secret):
    """A secret of the vault has another version from now on: written, rotated, or an earlier one rolled back to."""

    principal: str
    example = {"key": "stripe/live", "version": 4, "principal": _PRINCIPAL}


class SecretAccessed(_Secret):
    """A secret of the vault was given out. What it is does not stand here."""

    principal: str
    flow: str | None = Field(description="The flow that it was given to, if it was one.")
    execution: str | None
    example = {"key": "stripe/live", "version": 3, "principal": _PRINCIPAL, "flow": _FLOW, "execution": _EXECUTION}


class SecretDenied(Payload):
    """A secret of the vault was asked for, and not given out."""

    key: str
    version: int | None
    principal: str
    flow: str | None
    execution: str | None
    reason: Literal["expired", "mfa_required", "mfa_invalid", "mfa_locked", "host_not_allowed"]
    example = {
        "key": "stripe/live",
        "version": 3,
        "principal": _PRINCIPAL,
        "flow": None,
        "execution": None,
        "reason": "mfa_invalid",
    }


class SecretExpiring(_Secret):
    """A secret of the vault expires within so many days: told 30, 7 and 1 day before."""

    expires_at: Moment
    days: Literal[30, 7, 1]
    example = {"key": "stripe/live", "version": 3, "expires_at": "2026-12-31T23:59:59Z", "days": 7}


class SecretExpired(_Secret):
    """A secret of the vault is past its date, and is not given out any more."""

    expires_at: Moment
    example = {"key": "stripe/live", "version": 3, "expires_at": "2026-12-31T23:59:59Z"}


class SecretDestroyed(Payload):
    """Versions of a secret of the vault are gone for good."""

    key: str
    versions: list[int]
    principal: str
    example = {"key": "stripe/live", "versions": [1, 2, 3], "principal": _PRINCIPAL}


class EndpointDisabled(Payload):
    """A webhook endpoint is told of nothing any more, until somebody enables it."""

    endpoint_id: str
    url: str
    reason: Literal["manual", "gone", "failing"] = Field(description="gone: it answered 410; failing: for five days.")
    example = {"endpoint_id": _ENDPOINT, "url": "https://example.com/hooks", "reason": "failing"}


PAYLOADS: Mapping[EventType, type[Payload]] = {
    EventType.AGENT_EXECUTION_STARTED: ExecutionStarted,
    EventType.AGENT_EXECUTION_COMPLETED: ExecutionCompleted,
    EventType.AGENT_EXECUTION_FAILED: ExecutionFailed,
    EventType.API_VERSION_SUNSET_SCHEDULED: SunsetScheduled,
    EventType.DATA_ASSET_MATERIALIZED: AssetMaterialized,
    EventType.DATA_ASSET_CHECK_FAILED: AssetCheckFailed,
    EventType.DATA_RUN_SUCCEEDED: RunSucceeded,
    EventType.DATA_RUN_FAILED: RunFailed,
    EventType.MARKETPLACE_PURCHASE_COMPLETED: PurchaseCompleted,
    EventType.RAG_DOCUMENT_INDEXED: DocumentIndexed,
    EventType.RAG_DOCUMENT_FAILED: DocumentFailed,
    EventType.RAG_DOCUMENT_DELETED: DocumentDeleted,
    EventType.RAG_GENERATION_CREATED: GenerationCreated,
    EventType.RAG_GENERATION_READY: GenerationReady,
    EventType.RAG_INDEX_PROMOTED: GenerationPromoted,
    EventType.RAG_GENERATION_ROLLED_BACK: GenerationRolledBack,
    EventType.RAG_GENERATION_RETIRED: GenerationRetired,
    EventType.RAG_SOURCE_CRAWLED: SourceCrawled,
    EventType.RAG_SOURCE_BRAKED: SourceBraked,
    EventType.RAG_SOURCE_FAILED: SourceFailed,
    EventType.USAGE_THRESHOLD_REACHED: ThresholdReached,
    EventType.VAULT_SECRET_ACCESSED: SecretAccessed,
    EventType.VAULT_SECRET_CREATED: SecretCreated,
    EventType.VAULT_SECRET_DENIED: SecretDenied,
    EventType.VAULT_SECRET_DESTROYED: SecretDestroyed,
    EventType.VAULT_SECRET_EXPIRED: SecretExpired,
    EventType.VAULT_SECRET_EXPIRING: SecretExpiring,
    EventType.VAULT_SECRET_ROTATED: SecretRotated,
    EventType.WEBHOOK_ENDPOINT_DISABLED: EndpointDisabled,
}
