"""Carry out what changes something: as one transaction, and once for each Idempotency-Key.

The record of a keyed request commits with the change it tells of. Whatever dies before that commit leaves no
change, so the next attempt may begin; whatever dies after it leaves the answer, so the next attempt replays it.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel
from sanic import Request
from sanic.response import HTTPResponse

from core.errors import (
    ApiError,
    IdempotencyInProgress,
    LeaseLost,
    MfaInvalid,
    MfaRequired,
    RateLimitExceeded,
    ValidationFailed,
)
from core.ids import TenantId, content_id
from core.log import may_fail
from server.auth.principal import Principal
from server.errors import error_response
from server.openapi.answers import TOLD_AGAIN
from server.openapi.models import Upload
from server.openapi.registry import Keyed, Operation
from stores.idempotency import Claim, IdempotencyRecords, KeptAnswer
from stores.sql.engine import Database
from stores.sql.unit_of_work import UnitOfWork
from vault.envelope import Envelope

HEADER = "idempotency-key"
REPLAYED = "idempotent-replayed"

_SANE = re.compile(r"[\x21-\x7e]{1,255}")
_PURPOSE = "idempotency"
# The code of a second factor is no part of what is asked: the same request with another code is a retry.
_MENDED_BY_A_CODE = (MfaRequired, MfaInvalid, RateLimitExceeded)

Call = Callable[[], Awaitable[HTTPResponse | None]]


class Effects:
    """One a process."""

    def __init__(self, database: Database, records: IdempotencyRecords, envelope: Envelope) -> None:
        self._database = database
        self._records = records
        self._envelope = envelope

    async def run(
        self, request: Request, operation: Operation, principal: Principal | None, given: Mapping[str, Any], call: Call
    ) -> HTTPResponse | None:
        """Return the handler's answer, or the one that an earlier request with the same key was given.

        `given` is everything the client asked: path, query and body as they were understood.
        """
        key = idempotency_key(request, operation)
        if key is None:
            return await self._carry_out(request, None, call)
        fingerprint, *earlier = self._fingerprints_of(given)
        identity = identity_of(operation, principal, key, fingerprint)
        if principal is None and earlier:  # a stranger's record has the name that it had under its root key
            before = [identity_of(operation, principal, key, each) for each in earlier]
            identity = await self._records.first_known([identity, *before]) or identity
        tenant_id: TenantId | None = principal.tenant_id if principal is not None else None
        claimed = await self._records.claim(identity, fingerprint, tenant_id, earlier=earlier)
        if isinstance(claimed, KeptAnswer):
            if TOLD_AGAIN in claimed.headers:
                request.ctx.told_again = claimed.headers[TOLD_AGAIN]
                return await call()
            return self._replayed(identity, claimed)
        async with self._kept_alive(claimed):
            return await self._attempt(request, claimed, call)

    def _fingerprints_of(self, given: Mapping[str, Any]) -> list[str]:
        """Return what tells one request from another, however it was spelled: order of keys and form boundaries do
        not count. Behind it stands what did so under earlier root keys.

        Under a key of this installation's: whoever reads the table cannot try out what a short secret in the body was.
        """
        asked = json.dumps(given, sort_keys=True, default=_plain).encode()
        return [mac.hex() for mac in self._envelope.macs(asked, purpose=_PURPOSE)]

    async def _attempt(self, request: Request, claim: Claim, call: Call) -> HTTPResponse | None:
        try:
            return await self._carry_out(request, claim, call)
        except LeaseLost:
            raise IdempotencyInProgress("Another attempt of this request has taken over. Try again.") from None
        except ApiError as refusal:
            if refusal.status >= 500 or isinstance(refusal, _MENDED_BY_A_CODE):
                await self._release(claim)
                raise
            # A refusal is an answer like any other: whoever asks again under this key gets the same.
            answer = error_response(request, refusal)
            async with self._database.transaction() as session:
                await self._records.finish(session, claim, self._kept(claim, answer))
            return answer
        except BaseException:
            await self._release(claim)
            raise

    async def _carry_out(self, request: Request, claim: Claim | None, call: Call) -> HTTPResponse | None:
        async with self._database.unit_of_work() as work:
            effect = request.ctx.effect = Effect(self, work, claim)
            answer = await call()
            if answer is None:  # it went out piece by piece: there is nothing more to keep for a retry
                if work.is_open:
                    await work.commit()
            elif work.is_open:
                await effect.settle(answer)
            elif claim is not None:
                await self._records.amend(claim, self._kept(claim, answer))
            return answer

    async def settle(self, work: UnitOfWork, claim: Claim | None, answer: HTTPResponse) -> None:
        if claim is not None:
            async with self._database.transaction() as session:
                await self._records.finish(session, claim, self._kept(claim, answer))
        await work.commit()

    async def _release(self, claim: Claim) -> None:
        with may_fail("releasing an idempotency key"):  # its lease ends by itself
            await asyncio.shield(self._records.release(claim))

    @asynccontextmanager
    async def _kept_alive(self, claim: Claim) -> AsyncIterator[None]:
        async def renew_forever() -> None:
            while True:
                await asyncio.sleep(self._records.lease.total_seconds() / 3)
                with may_fail("renewing an idempotency lease"):
                    await self._records.renew(claim)

        renewing = asyncio.create_task(renew_forever())
        try:
            yield
        finally:
            renewing.cancel()

    def _kept(self, claim: Claim, answer: HTTPResponse) -> KeptAnswer:
        # Sealed, because an answer may hold what is shown only once, such as a new key.
        body = self._envelope.seal(answer.body or b"", purpose=_PURPOSE, place=claim.identity)
        headers = {"content-type": answer.content_type or "application/json", **answer.headers}
        return KeptAnswer(status=answer.status, headers=headers, sealed_body=body)

    def _replayed(self, identity: str, kept: KeptAnswer) -> HTTPResponse:
        body = self._envelope.open(kept.sealed_body, purpose=_PURPOSE, place=identity)
        headers = dict(kept.headers)
        content_type = headers.pop("content-type")
        return HTTPResponse(body, status=kept.status, headers={**headers, REPLAYED: "true"}, content_type=content_type)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a handler under way may settle: see `answers.settled`."""

    _effects: Effects
    _work: UnitOfWork
    _claim: Claim | None

    async def settle(self, answer: HTTPResponse) -> None:
        """Commit, with `answer` as what a retry is told. What the handler answers in the end replaces it."""
        await self._effects.settle(self._work, self._claim, answer)


def idempotency_key(request: Request, operation: Operation) -> str | None:
    """Return the key, or None without one. Raises ValidationFailed if it is malformed, or missing where demanded."""
    given = request.headers.getall(HEADER, [])
    if operation.keyed is Keyed.IGNORED:
        return None
    if not given and operation.keyed is not Keyed.REQUIRED:
        return None
    if len(given) != 1 or not _SANE.fullmatch(given[0]):
        raise ValidationFailed(
            "Send one Idempotency-Key header of 1 to 255 visible ASCII characters, such as a UUID.", violations=[]
        )
    key: str = given[0]
    return key


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return dict(value)
        case bytes():
            return hashlib.sha256(value).hexdigest()
        case Upload():
            return asdict(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)


def identity_of(operation: Operation, principal: Principal | None, key: str, fingerprint: str) -> str:
    """Return what a key is unique within: tenant, principal, method and route.

    Strangers share one space, so there the request itself is part of it: nobody can take another's key.
    """
    if principal is None:
        return content_id("stranger", fingerprint, operation.method, operation.path, key)
    return content_id(principal.tenant_id, principal.subject, operation.method, operation.path, key)
