"""A delivery as the dispatcher holds it, and how one attempt at it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where a delivery goes, secrets and headers still sealed."""

    endpoint_id: str
    url: str
    sealed_headers: bytes
    sealed_secret: bytes
    sealed_previous_secret: bytes | None
    secret_rotated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The right to try a delivery once. `fence` must be shown when the attempt is written down."""

    id: str
    tenant_id: str
    event_id: str
    body: bytes
    attempt: int
    fence: int
    recipient: Recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One attempt, over. Without `status` there was no answer, and `error` says why."""

    claimed: Claimed
    started_at: datetime
    milliseconds: int
    status: int | None = None
    response_body: str | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint said that it will never want anything again."""
        return self.status == 410
