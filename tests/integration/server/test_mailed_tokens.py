"""A mail that is sent a second time holds the token it held, whatever happened to the keys in between."""

from datetime import timedelta

from core.clock import FrozenClock
from core.ids import new_id
from server.auth.sessions.mailed.service import MailedTokens
from server.mail.letter import Posted
from stores.sql.engine import Database
from vault.envelope import Envelope
from vault.root_rotation import RootRotation

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
CLOCK = FrozenClock()
PURPOSE = "register"


async def test_a_token_outlives_the_root_key_it_was_made_under(database_url: str) -> None:
    """Sent once more under another root key it is the same, stands for the same, and once used it stays used."""
    database, ends = Database(database_url), CLOCK.now() + timedelta(hours=1)
    posted = Posted(id=new_id(), kind=PURPOSE, content={}, created_at=CLOCK.now())
    before = MailedTokens(envelope=Envelope(OLD), clock=CLOCK)
    after = MailedTokens(envelope=Envelope(NEW, OLD), clock=CLOCK)
    async with database.transaction() as session:
        token, new = await before.issue(session, posted, subject="s", expires_at=ends, content={"name": "Ada"})
        assert new
    assert (await RootRotation(database=database, envelope=after.envelope).re_wrap()).broken == 0
    async with database.transaction() as session:
        assert await after.issue(session, posted, subject="s", expires_at=ends) == (token, False)
        retired = MailedTokens(envelope=Envelope(NEW), clock=CLOCK)
        proven = await retired.find(session, token, PURPOSE)
        assert proven is not None
        assert proven.content == {"name": "Ada"}
        assert await retired.use(session, token, PURPOSE, proven)
        assert await after.issue(session, posted, subject="s", expires_at=ends) == (token, False)
        assert await retired.find(session, token, PURPOSE) is None
    await database.dispose()
