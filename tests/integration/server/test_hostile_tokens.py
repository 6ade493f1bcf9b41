"""Hostile tokens on a real server: whatever is wrong with one, it is answered by the same 401."""

from pathlib import Path

from sqlalchemy import select

from stores.sql.models import SigningKeyRow
from tests.factories.hostile_tokens import rightly_signed, signer, wrongly_signed
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.test_sessions import a_pair
from vault.keys import SigningKeyPair
from vault.open import open_envelope


async def test_no_hostile_token_is_accepted(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """More than sixty, many signed with the true key: 401 in the envelope, or 400 for what is no header."""
    async with (
        running(settings_for(tmp_path, database_url, redis_url=redis_url, trusted_proxies=1)) as api,
        api.client() as client,
    ):
        client.headers["x-forwarded-for"] = tmp_path.name
        pair = await a_pair(client)
        token = pair["access_token"]
        own = await the_pair(api)
        hostile = [*rightly_signed(token, signer(own)), *wrongly_signed(token, own.public)]
        hostile += [("the refresh token", pair["refresh_token"])]
        assert len(hostile) >= 60
        wrong = []
        for name, each in hostile:
            header = [("authorization", f"Bearer {each}".encode())]
            answer = await client.get("/api/v1/auth/me", headers=header)
            if (answer.status_code, answer.json()["error"]["code"]) not in (
                (401, "AUTHENTICATION_FAILED"),
                (400, "VALIDATION_ERROR"),
            ):
                wrong.append((name, answer.status_code))
        assert wrong == []
        assert (await client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {token}"})).status_code == 200


async def the_pair(api: Api) -> SigningKeyPair:
    """Return the installation's signing key, as only somebody with its root key can."""
    async with api.database.reading() as session:
        [row] = await session.scalars(select(SigningKeyRow))
    sealed = open_envelope(api.settings).open(row.sealed_private_key, purpose="signing-key", place=row.kid)
    return SigningKeyPair(public=row.public_key, private=sealed.decode())
