"""Whether a token's session, user and id still stand, in one query."""

from datetime import datetime

from sqlalchemy import Select, select

from core.ids import SessionId
from stores.sql.models import RevokedTokenRow, SessionRow, UserRow


def standing_of(
    session_id: SessionId, token_id: str, now: datetime
) -> Select[str, datetime | None, datetime | None, str | None]:
    """Return the query for user, end of the session, end of the user, and the token's own revocation.

    A session that has run out is not found.
    """
    return (
        select(SessionRow.user_id, SessionRow.revoked_at, UserRow.disabled_at, RevokedTokenRow.jti)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .outerjoin(RevokedTokenRow, RevokedTokenRow.jti == token_id)
        .where(SessionRow.id == session_id, SessionRow.expires_at > now)
    )
