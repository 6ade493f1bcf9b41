"""Mail that waits, in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CursorResult, Delete, Update, delete, exists, select, update
from sqlalchemy.orm import Session

from stores.sql.models import MailRow


def any_due(session: Session, now: datetime) -> bool:
    return bool(session.scalar(select(exists().where(MailRow.available_at <= now, MailRow.expires_at > now))))


def take(session: Session, now: datetime, until: datetime, limit: int) -> Sequence[MailRow]:
    """Return what is due, held until then by whoever can show its number of attempts."""
    due = select(MailRow).where(MailRow.available_at <= now, MailRow.expires_at > now)
    rows = session.scalars(due.order_by(MailRow.available_at).limit(limit).with_for_update(skip_locked=True)).all()
    for row in rows:
        row.attempts += 1
        row.available_at = until
    session.flush()
    session.expunge_all()
    return rows


def delete_held(session: Session, mail_id: str, fence: int) -> bool:
    """Delete what was sent, or never can be; whether it was still held."""
    return _one(session, delete(MailRow).where(MailRow.id == mail_id, MailRow.attempts == fence))


def put_off(session: Session, mail_id: str, fence: int, until: datetime) -> bool:
    held = update(MailRow).where(MailRow.id == mail_id, MailRow.attempts == fence)
    return _one(session, held.values(available_at=until))


def _one(session: Session, change: Update | Delete) -> bool:
    changed = session.execute(change.execution_options(synchronize_session=False))
    assert isinstance(changed, CursorResult)
    return int(changed.rowcount) == 1
