"""Access tokens of a database, under a root key that is no secret."""

from core.clock import Clock
from server.auth.sessions.access.service import AccessTokens
from server.auth.sessions.signing.service import SigningKeys
from stores.sql.engine import Database
from vault.envelope import Envelope

PUBLIC_URL = "https://api.example.com"


def signing_keys(database: Database, clock: Clock) -> SigningKeys:
    return SigningKeys(database, Envelope(bytes(32)), clock)


def access_tokens(database: Database, clock: Clock) -> AccessTokens:
    return AccessTokens(database, signing_keys(database, clock), clock, public_url=PUBLIC_URL)
