"""Another root key in place of the one there is, while everything runs, and however often that is cut off."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stores.sealed import SealedColumn
from stores.sql.engine import Database
from vault.envelope import PREFIX_BYTES, Envelope, SealBroken, has_name

_AT_ONCE = 200
_NOBODYS = bytes(PREFIX_BYTES)

# All that lies under the root key itself, with purpose and place as whoever seals it has them.
SEALED: Sequence[SealedColumn] = (
    SealedColumn(table="vault_keys", column="sealed_key", purpose="vault-tenant-key", place=("tenant_id", "id")),
    SealedColumn(table="totp_devices", column="sealed_secret", purpose="totp", place=("user_id",)),
    SealedColumn(table="signing_keys", column="sealed_private_key", purpose="signing-key", place=("kid",)),
    SealedColumn(table="webhook_endpoints", column="sealed_secret", purpose="webhook-secret", place=("id",)),
    SealedColumn(table="webhook_endpoints", column="sealed_previous_secret", purpose="webhook-secret", place=("id",)),
    SealedColumn(table="webhook_endpoints", column="sealed_headers", purpose="webhook-headers", place=("id",)),
    SealedColumn(table="rag_sources", column="sealed_webhook_secret", purpose="source-webhook-secret", place=("id",)),
    SealedColumn(table="idempotency_records", column="sealed_body", purpose="idempotency", place=("identity",)),
    SealedColumn(table="mails", column="sealed_content", purpose="mail", place=("id",)),
    SealedColumn(table="mailed_tokens", column="sealed_content", purpose="mailed-token", place=("token_hash",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How many seals are under the newest root key by this, and how many could not be opened."""

    done: int
    broken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRotation:
    """What `envelope` opens it seals anew, under its newest key."""

    database: Database
    envelope: Envelope

    async def re_wrap(self) -> Moved:
        """Put everything under the newest root key. Cut off at any point, it goes on when called again.

        Whoever changes a row meanwhile has sealed it anew: theirs stays.
        """
        done = broken = 0
        for column in SEALED:
            after = ""
            while True:
                async with self.database.transaction() as session:
                    found = await column.without(session, self.envelope.newest, after=after, limit=_AT_ONCE)
                    for row_id, place, sealed in found:
                        try:
                            plain = self.envelope.open(sealed, purpose=column.purpose, place=place)
                        except SealBroken:  # no use of it succeeds either; the others are not held up
                            broken += 1
                            continue
                        anew = self.envelope.seal(plain, purpose=column.purpose, place=place)
                        done += await column.replace(session, row_id, sealed, anew)
                if not found:
                    break
                after = found[-1][0]
        return Moved(done=done, broken=broken)

    async def counts(self) -> Counter[bytes]:
        """Return how many seals lie under which root key, by what they begin with, all at one moment."""
        counted: Counter[bytes] = Counter()
        async with self.database.reading(of_one_moment=True) as session:
            for column in SEALED:
                for prefix, count in (await column.count_by_prefix(session, PREFIX_BYTES)).items():
                    counted[prefix if has_name(prefix) else prefix[:1]] += count
        return counted

    async def left(self) -> int:
        """Return how many seals are not under the newest root key."""
        return sum(count for prefix, count in (await self.counts()).items() if prefix != self.envelope.newest)

    async def opens_some(self) -> bool:
        """Whether a seal that is there opens, or there is none: else these are not this installation's root keys."""
        any_seal = False
        for column in SEALED:
            async with self.database.reading() as session:
                for _, place, sealed in await column.without(session, _NOBODYS, after="", limit=_AT_ONCE):
                    any_seal = True
                    try:
                        self.envelope.open(sealed, purpose=column.purpose, place=place)
                    except SealBroken:
                        continue
                    return True
        return not any_seal
