"""What a client sees of a job."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from server.openapi.models import Answer
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import DocumentRow, JobKind, JobRow, JobStatus

Kind = Literal["rag.ingest", "rag.delete"]
Status = Literal["queued", "processing", "succeeded", "failed", "cancelled"]

# Of a job's time, the share that has passed when a stage is done; embedding is what most of it goes into.
_DONE_AFTER = {"parsed": 0.2, "chunked": 0.25, "embedded": 0.9, "indexed": 1.0}
_EMBEDDING_SHARE = _DONE_AFTER["embedded"] - _DONE_AFTER["chunked"]


class Failure(Answer):
    """Why a document has no chunks."""

    code: str
    message: str


def failure_of(row: DocumentRow | JobRow) -> Failure | None:
    return Failure(code=row.error_code, message=row.error_message or "") if row.error_code else None


class JobView(Answer):
    """A piece of asynchronous work. A queued job that has an `error` is being tried again."""

    job_id: str
    document_id: str
    revision: int
    kind: Kind
    status: Status
    progress: dict[str, Any] = Field(
        description="`stage` is the last one done; `elements`, `chunks` and `embedded` (of the chunks) are counts."
    )
    eta_seconds: float | None = Field(
        description="How much longer a job in work will take if it goes on like this; null where that is not known."
    )
    attempt: int
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_over(self) -> bool:
        return self.status not in ("queued", "processing")

    @classmethod
    def of(cls, row: JobRow, now: datetime) -> Self:
        return cls(
            job_id=row.id,
            document_id=row.document_id,
            revision=row.revision,
            kind=JobKind(row.kind).value,
            status=JobStatus(row.status).value,
            progress=row.progress,
            eta_seconds=_eta_seconds(row, now),
            attempt=row.attempt,
            error=failure_of(row),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class JobPage(Page[JobView]):
    pass


class JobsQuery(PageQuery):
    status: Status | None = None
    kind: Kind | None = None
    document_id: str | None = Field(None, max_length=36, description="The jobs of one document.")


def _eta_seconds(row: JobRow, now: datetime) -> float | None:
    done = share_done(row.progress)
    # A job that is tried again began anew; nothing says when.
    if row.status != JobStatus.PROCESSING or row.started_at is None or row.attempt > 1 or not done:
        return None
    return round(max(0.0, (now - row.started_at).total_seconds()) * (1 - done) / done, 1)


def share_done(progress: Mapping[str, Any]) -> float:
    """Return about how much of a job's work is behind it, 0 to 1."""
    done = _DONE_AFTER.get(str(progress.get("stage")), 0.0)
    if progress.get("stage") == "chunked" and progress.get("chunks"):
        done += _EMBEDDING_SHARE * int(progress.get("embedded", 0)) / int(progress["chunks"])
    return done
