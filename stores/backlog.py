"""How much is waiting to be done, over all tenants and without naming any."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from stores.sql.engine import Database
from stores.sql.models import JobRow, JobStatus, OutboxRow

_SHOWN = (JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """`jobs` are counted by kind and status, those that ended well left out."""

    jobs: Mapping[tuple[str, str], int]
    outbox: int


async def backlog(database: Database) -> Backlog:
    """Return what is waiting, under way or failed at this moment."""
    async with database.reading() as session:
        jobs = await session.execute(
            select(JobRow.kind, JobRow.status, func.count())
            .where(JobRow.status.in_(_SHOWN))
            .group_by(JobRow.kind, JobRow.status)
        )
        outbox = await session.scalar(select(func.count()).select_from(OutboxRow).where(OutboxRow.number.is_(None)))
        return Backlog(jobs={(kind, str(status)): count for kind, status, count in jobs}, outbox=outbox or 0)
