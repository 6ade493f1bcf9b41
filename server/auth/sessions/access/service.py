"""Issue access tokens, and believe those that are ours, not ended, and not revoked more than five seconds ago."""

from collections import OrderedDict
from datetime import datetime, timedelta

import jwt

from core.clock import Clock
from core.ids import SessionId, TenantId, UserId, new_id
from server.auth.sessions.access.claims import ALGORITHM, LIFETIME, TYPE, Claims, claims_of, header_of, payload_of
from server.auth.sessions.access.repository import standing_of
from server.auth.sessions.signing.service import SigningKeys
from stores.sql.engine import Database

# A revoked token may work for this long, and not longer. What streams looks once a second besides: five in all.
_REMEMBERED_FOR = timedelta(seconds=3.5)
_REMEMBERED_TOKENS = 10_000


class AccessTokens:
    """One a process. `public_url` is the issuer; the audience is the API below it."""

    def __init__(self, database: Database, keys: SigningKeys, clock: Clock, *, public_url: str) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._names = {"issuer": public_url, "audience": f"{public_url.rstrip('/')}/api/v1"}
        self._jws = jwt.PyJWS(algorithms=[ALGORITHM])
        self._standing: OrderedDict[str, datetime] = OrderedDict()

    async def issue(self, user_id: UserId, session_id: SessionId, tenant_id: TenantId) -> str:
        """Return a new token. Call it before the request writes: the first ever makes the key that signs."""
        kid, key = await self._keys.signer()
        now = self._clock.now()
        claims = Claims(
            user_id=user_id,
            session_id=session_id,
            token_id=new_id(),
            tenant_id=tenant_id,
            issued_at=now,
            expires_at=now + LIFETIME,
        )
        payload = payload_of(claims, **self._names)
        return self._jws.encode(payload, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": TYPE})

    async def find(self, token: str) -> Claims | None:
        """Return what the token claims, or None if it is not to be believed now, whatever the reason."""
        kid = header_of(token)
        key = await self._keys.verifier(kid) if kid is not None else None
        if key is None:
            return None
        try:
            payload = self._jws.decode(token, key, algorithms=[ALGORITHM])
        except jwt.PyJWTError:
            return None
        claims = claims_of(payload, now=self._clock.now(), **self._names)
        return claims if claims is not None and await self._stands(claims) else None

    async def forget(self) -> None:
        """Look again next time, in this process: what was just revoked is refused at once."""
        self._standing.clear()

    async def _stands(self, claims: Claims) -> bool:
        now = self._clock.now()
        until = self._standing.get(claims.token_id)
        if until is not None and now < until:
            return True
        self._standing.pop(claims.token_id, None)
        rows = await self._database.rows(standing_of(claims.session_id, claims.token_id, now))
        if [tuple(row) for row in rows] != [(claims.user_id, None, None, None)]:
            return False
        self._standing[claims.token_id] = now + _REMEMBERED_FOR  # counted from before the look-up
        if len(self._standing) > _REMEMBERED_TOKENS:
            self._standing.popitem(last=False)
        return True
