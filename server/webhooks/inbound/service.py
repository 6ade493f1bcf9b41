"""A push is verified before it is read, and makes its source due once."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock
from core.log import get_logger
from server.webhooks.inbound.github import Push, is_signed, passed_over, read_push, refused
from server.webhooks.inbound.repository import Pushed, PushRepository, pushed
from server.webhooks.inbound.schemas import GitHubEvent, Taken
from server.webhooks.sealing import PushSealing
from stores.audit import AuditLog
from stores.sql.engine import Database, Session
from stores.sql.models import SourcePushRow, SourceRow
from vault.envelope import SealBroken

log = get_logger()
# Above this a thread takes the digest, which lets others run meanwhile.
_QUICK_BYTES = 256 * 1024
_ACTOR = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushService:
    """One a process."""

    database: Database
    sealing: PushSealing
    audit: AuditLog
    clock: Clock
    new_id: Callable[[], str]

    async def verified(self, source_id: str, body: bytes, signature: str) -> Pushed:
        """Return whose the body is. Raises AuthenticationFailed, in the same words for a source that is not there."""
        found = await pushed(self.database, source_id)
        secret = self._secret(found, source_id)
        if len(body) > _QUICK_BYTES:
            signed = await asyncio.to_thread(is_signed, body, signature, secret)
        else:
            signed = is_signed(body, signature, secret)
        if not signed or found is None:
            raise refused()
        return found

    def _secret(self, found: Pushed | None, source_id: str) -> str:
        """Return the source's secret, or one that nobody knows: what is not there takes the same steps."""
        nobodys = secrets.token_urlsafe(32)
        sealed = found.sealed_secret if found is not None else self.sealing.seal(nobodys, source_id)
        try:
            return self.sealing.open(sealed, source_id)
        except SealBroken:  # under another root key: until it is set anew, nothing is signed with it
            log.exception("push.secret_sealed_for_good", source=source_id)
            return nobodys

    async def take(self, pushed: Pushed, delivery_id: str, body: GitHubEvent) -> Taken:
        """Make the source due, once for each push. Raises ValidationFailed, and AuthenticationFailed if it is gone."""
        push = read_push(body.payload())
        digest = hashlib.sha256(body.content).hexdigest()
        async with self.database.transaction() as session:
            repository = PushRepository(session, pushed.tenant_id)
            source = await repository.locked(pushed.source_id)
            if source is None:
                raise refused()
            if await repository.is_known(source.id, delivery_id, digest):
                return Taken(state="repeated", message="This push was taken already. Nothing is done again.")
            if (why := _ignored(source, push)) is not None:
                return Taken(state="ignored", message=why)
            await self._make_due(session, repository, source, delivery_id, digest)
        return Taken(state="accepted", message="The source is crawled next.")

    async def _make_due(
        self, session: Session, repository: PushRepository, source: SourceRow, delivery_id: str, digest: str
    ) -> None:
        now = self.clock.now()
        # A crawl that is under way may have listed what was there before: the next one begins when it has ended.
        source.next_crawl_at = min(source.next_crawl_at or now, now)
        await repository.add(
            SourcePushRow(
                id=self.new_id(),
                source_id=source.id,
                tenant_id=source.tenant_id,
                delivery_id=delivery_id,
                body_sha256=digest,
                received_at=now,
            )
        )
        await self.audit.append(
            session,
            repository.tenant_id,
            actor=_ACTOR,
            action="source.pushed",
            resource_type="source",
            resource_id=source.id,
            details={"name": source.name, "delivery_id": delivery_id},
        )


def _ignored(source: SourceRow, push: Push) -> str | None:
    if source.paused_at is not None:
        return "Ignored: the source is paused."
    return passed_over(push, source.location)
