"""Secrets of a tenant, for whoever may have them: second factors are judged here, everything else in the safe."""

from dataclasses import dataclass
from typing import Protocol

from core.clock import Clock
from core.errors import MfaInvalid, MfaRequired, RateLimitExceeded, ResourceNotFound
from core.ids import UserId
from server.auth.principal import Principal
from server.credentials.schemas import (
    Destruction,
    DestructionBody,
    RollbackBody,
    Rotation,
    RotationBody,
    SecretBody,
    SecretPage,
    SecretsQuery,
    SecretValue,
    SecretView,
    UsageQuery,
    Use,
    UsePage,
    VersionPage,
    VersionsQuery,
    VersionView,
)
from server.openapi.pagination import Cursors
from stores.secrets import secrets_page, uses_page, versions_page
from stores.sql.models import SecretRow, SecretVersionRow
from vault.access import Reader, Terms
from vault.safe import Safe


class SecondFactor(Protocol):
    async def step_up(self, user_id: UserId, code: str | None) -> None:
        """Pass whoever has a second factor and sends its code. Raises MfaRequired, MfaInvalid, RateLimitExceeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One a process."""

    safe: Safe
    second_factor: SecondFactor
    clock: Clock
    cursors: Cursors

    async def store(self, owner: Principal, body: SecretBody, *, code: str | None) -> SecretView:
        """Store a secret or another version of it. Raises Conflict, and what the second factor does."""
        given = body.model_fields_set
        terms = Terms(
            tags=body.tags if "tags" in given else None,
            require_mfa=body.require_mfa if "require_mfa" in given else None,
            allowed_hosts=body.allowed_hosts if "allowed_hosts" in given else None,
        )
        if await self._is_guarded_against(owner, body.key, terms):
            await self._step_up(owner, code)
        row = await self.safe.put(
            owner.tenant_id,
            body.key,
            body.value,
            terms,
            expires_at=body.expires_at,
            cas=body.cas,
            by=owner.subject,
        )
        return self._view(row)

    async def read(self, owner: Principal, key: str, version: int | None, *, code: str | None) -> SecretValue:
        """Give a secret out. Raises what the safe and the second factor do."""
        row = await self.safe.describe(owner.tenant_id, key)
        stepped_up = False
        if row.require_mfa:
            try:
                await self._step_up(owner, code)
            except (MfaRequired, MfaInvalid, RateLimitExceeded) as refusal:
                await self.safe.deny(owner.tenant_id, key, version, Reader(principal=owner.subject), refusal)
                raise
            stepped_up = True
        found = await self.safe.read(
            owner.tenant_id, key, version, Reader(principal=owner.subject, stepped_up=stepped_up)
        )
        return SecretValue(key=found.key, version=found.version, value=found.value, expires_at=found.expires_at)

    async def page(self, owner: Principal, query: SecretsQuery) -> SecretPage:
        scope = {"tenant_id": owner.tenant_id, "listing": "secrets"}
        place = self.cursors.place(query, **scope)
        found = await self.safe.database.read(
            secrets_page(
                owner.tenant_id,
                tag=query.tag,
                expires_before=query.expires_before,
                deleted=query.deleted == "true",
                after=place.after,
                offset=place.offset,
                limit=query.limit,
            )
        )
        last = found.rows[-1] if found.more else None
        return SecretPage(
            items=[self._view(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def delete(self, owner: Principal, key: str) -> SecretView:
        return self._view(await self.safe.delete(owner.tenant_id, key, by=owner.subject))

    async def undelete(self, owner: Principal, key: str) -> SecretView:
        return self._view(await self.safe.undelete(owner.tenant_id, key, by=owner.subject))

    async def destroy(self, owner: Principal, key: str, body: DestructionBody) -> Destruction:
        gone = await self.safe.destroy(owner.tenant_id, key, body.versions, by=owner.subject)
        return Destruction(key=key, versions=gone)

    async def roll_back(self, owner: Principal, key: str, body: RollbackBody) -> Rotation:
        row, previous = await self.safe.roll_back(owner.tenant_id, key, body.version, cas=body.cas, by=owner.subject)
        return self._rotation(row, previous)

    async def rotate(self, owner: Principal, key: str, body: RotationBody) -> Rotation:
        row, previous = await self.safe.rotate(
            owner.tenant_id, key, body.value, expires_at=body.expires_at, cas=body.cas, by=owner.subject
        )
        return self._rotation(row, previous)

    async def versions(self, owner: Principal, key: str, query: VersionsQuery) -> VersionPage:
        row = await self.safe.describe(owner.tenant_id, key)
        scope = {"tenant_id": owner.tenant_id, "listing": f"secret-versions:{row.id}"}
        place = self.cursors.place(query, **scope)
        before = int(place.after[1]) if place.after is not None else None
        found = await self.safe.database.read(
            versions_page(owner.tenant_id, row.id, before=before, offset=place.offset, limit=query.limit)
        )
        last = found.rows[-1] if found.more else None
        return VersionPage(
            items=[self._version(row, version) for version in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last
            and self.cursors.next(query, place, found, last=(last.created_at, str(last.number)), **scope),
        )

    async def usage(self, owner: Principal, key: str, query: UsageQuery) -> UsePage:
        row = await self.safe.describe(owner.tenant_id, key)
        scope = {"tenant_id": owner.tenant_id, "listing": f"secret-uses:{row.id}"}
        place = self.cursors.place(query, **scope)
        found = await self.safe.database.read(
            uses_page(owner.tenant_id, row.id, after=place.after, offset=place.offset, limit=query.limit)
        )
        last = found.rows[-1] if found.more else None
        return UsePage(
            items=[Use(**{name: getattr(use, name) for name in Use.model_fields}) for use in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.used_at, last.id), **scope),
        )

    async def _is_guarded_against(self, owner: Principal, key: str, terms: Terms) -> bool:
        """Whether a secret that requires a second factor would require it no more, or go to other hosts."""
        try:
            row = await self.safe.describe(owner.tenant_id, key)
        except ResourceNotFound:
            return False
        lifted = terms.require_mfa is False
        moved = terms.allowed_hosts is not None and list(terms.allowed_hosts) != row.allowed_hosts
        return row.require_mfa and (lifted or moved)

    async def _step_up(self, owner: Principal, code: str | None) -> None:
        if owner.user_id is None:
            raise MfaRequired("This secret requires a second factor, which a key does not have. Ask in a session.")
        await self.second_factor.step_up(owner.user_id, code)

    def _view(self, row: SecretRow) -> SecretView:
        return SecretView(**self._described(row))

    def _rotation(self, row: SecretRow, previous: int) -> Rotation:
        return Rotation(**self._described(row), status="succeeded", previous_version=previous)

    def _described(self, row: SecretRow) -> dict[str, object]:
        return {
            "key": row.key,
            "version": row.version,
            "tags": row.tags.split(),
            "expires_at": row.expires_at,
            "require_mfa": row.require_mfa,
            "allowed_hosts": row.allowed_hosts,
            "created_at": row.created_at,
            "created_by": row.created_by,
            "updated_at": row.updated_at,
            "deleted_at": row.deleted_at,
            "undelete_until": self.safe.undelete_until(row),
        }

    def _version(self, row: SecretRow, version: SecretVersionRow) -> VersionView:
        over = version.expires_at is not None and version.expires_at <= self.clock.now()
        state = "current" if version.number == row.version else "superseded"
        return VersionView(
            number=version.number,
            state="destroyed" if version.destroyed_at is not None else "expired" if over else state,
            created_at=version.created_at,
            created_by=version.created_by,
            expires_at=version.expires_at,
            destroyed_at=version.destroyed_at,
        )
