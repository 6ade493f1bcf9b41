"""Which key signs now, which keys verify, and how a new one takes over without a refused token."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from jwt import PyJWK

from core.clock import Clock
from core.errors import ServiceUnavailable
from core.ids import content_id, new_id
from server.auth.sessions.signing.repository import SigningKeyRepository
from stores.sql.engine import Database
from stores.sql.models import SigningKeyRow
from vault.envelope import Envelope
from vault.keys import new_signing_key_pair

_REMEMBERED_FOR = timedelta(seconds=5)
# Far longer than a process remembers the list, and than a cache may keep the published one.
SIGNS_AFTER = timedelta(seconds=60)
# The life of an access token, its leeway, and room for clocks that differ.
OUTLIVES = timedelta(minutes=16)
_PURPOSE = "signing-key"
# Every process that finds no key makes one of this name: the primary key lets only the first have its way.
_FIRST = content_id("signing-key", "first")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kid: str
    public: str
    sealed_private: bytes
    signs_from: datetime
    retired_at: datetime | None

    def verifies(self, now: datetime) -> bool:
        return self.retired_at is None or now < self.retired_at

    def verifier(self) -> PyJWK:
        return _jwk(x=self.public)


class SigningKeys:
    """One a process. Remembers the keys for a moment."""

    def __init__(self, database: Database, envelope: Envelope, clock: Clock) -> None:
        self._database = database
        self._envelope = envelope
        self._clock = clock
        self._known: dict[str, SigningKey] = {}
        self._until: datetime | None = None

    async def signer(self) -> tuple[str, PyJWK]:
        """Return kid and private key of the key that signs now; make the first.

        Making commits at once: call it before the request writes anything.
        """
        keys = await self._keys()
        if not keys:
            keys = await self._make_first()
        now = self._clock.now()
        # The first key signs at once, whatever another machine's clock said when it was made.
        signing = [key for key in keys.values() if key.verifies(now) and (key.signs_from <= now or key.kid == _FIRST)]
        if not signing:
            raise ServiceUnavailable("No key can sign at the moment. Try again in a minute.")
        key = signing[-1]
        private = self._envelope.open(key.sealed_private, purpose=_PURPOSE, place=key.kid).decode()
        return key.kid, _jwk(x=key.public, d=private)

    async def verifier(self, kid: str) -> PyJWK | None:
        key = (await self._keys()).get(kid)
        return key.verifier() if key is not None and key.verifies(self._clock.now()) else None

    async def verifying(self) -> list[SigningKey]:
        """Return all keys whose tokens are believed now, and those that are about to sign."""
        now = self._clock.now()
        return [key for key in (await self._keys()).values() if key.verifies(now)]

    async def rotate(self) -> str:
        """Add a key that signs in a minute, let the others verify until their last token has ended; return its kid.

        Raises SealBroken, and changes nothing, if this root key is not the one that the keys of now were sealed with.
        """
        await self.signer()
        now, kid = self._clock.now(), new_id()
        signs_from = now + SIGNS_AFTER
        async with self._database.transaction() as session:
            keys = SigningKeyRepository(session)
            await self._put(keys, kid, now, signs_from)
            await keys.retire_others(kid, signs_from + OUTLIVES)
        self._until = None
        return kid

    async def _make_first(self) -> dict[str, SigningKey]:
        now = self._clock.now()
        async with self._database.transaction(independent=True) as session:
            await self._put(SigningKeyRepository(session), _FIRST, now, now)
        self._until = None
        return await self._keys()

    async def _put(self, keys: SigningKeyRepository, kid: str, now: datetime, signs_from: datetime) -> None:
        pair = new_signing_key_pair()
        sealed = self._envelope.seal(pair.private.encode(), purpose=_PURPOSE, place=kid)
        await keys.add(kid=kid, public=pair.public, sealed_private=sealed, now=now, signs_from=signs_from)

    async def _keys(self) -> dict[str, SigningKey]:
        now = self._clock.now()
        if self._until is not None and now < self._until:
            return self._known
        async with self._database.reading() as session:
            self._known = {row.kid: _key(row) for row in await SigningKeyRepository(session).all()}
        # That there is none is not remembered: the first key, wherever it is made, is known at once.
        self._until = now + _REMEMBERED_FOR if self._known else None
        return self._known


def _jwk(**halves: str) -> PyJWK:
    return PyJWK({"kty": "OKP", "crv": "Ed25519", **halves}, algorithm="EdDSA")


def _key(row: SigningKeyRow) -> SigningKey:
    return SigningKey(
        kid=row.kid,
        public=row.public_key,
        sealed_private=row.sealed_private_key,
        signs_from=row.signs_from,
        retired_at=row.retired_at,
    )
