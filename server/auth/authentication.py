"""From the credential of a request to the principal, whatever kind of credential it is, and the tenant it acts in."""

from core.errors import AuthenticationFailed, AuthorizationFailed, ValidationFailed
from core.ids import TenantId, UserId, is_uuid
from server.auth.api_keys.service import ApiKeys
from server.auth.principal import DEFAULT_PLAN, Principal
from server.auth.sessions.access.service import AccessTokens
from server.auth.tenants.roles import scopes_of
from server.auth.tenants.service import Memberships

# Where somebody acts who belongs to no tenant: without a scope, they can do what a person needs none for.
NO_TENANT = TenantId("00000000-0000-0000-0000-000000000000")
_KEY_PREFIX = "cxk_"


class Authentication:
    def __init__(self, keys: ApiKeys, memberships: Memberships, tokens: AccessTokens) -> None:
        self._keys = keys
        self._tokens = tokens
        self._memberships = memberships

    async def principal(self, token: str, *, tenant: str | None) -> Principal:
        """Return who `token` speaks for, acting in `tenant` if it is one of theirs.

        Raises AuthenticationFailed, in the same words whatever is wrong with the token; ValidationFailed for a
        tenant that is no id; AuthorizationFailed for any that is not theirs, be it another's or nobody's.
        """
        if not token.startswith(_KEY_PREFIX):
            return await self._person(token, tenant)
        principal = await self._keys.find(token)
        if principal is None:
            raise _not_valid()
        wanted = _tenant_id(tenant)
        if wanted not in (None, principal.tenant_id):
            raise _not_theirs()
        return principal

    async def _person(self, token: str, tenant: str | None) -> Principal:
        claims = await self._tokens.find(token)
        if claims is None:
            raise _not_valid()
        tenant_id, scopes, plan = await self.acting(claims.user_id, tenant=tenant)
        return Principal(
            tenant_id=tenant_id,
            scopes=scopes,
            plan=plan,
            user_id=claims.user_id,
            session_id=claims.session_id,
            token_id=claims.token_id,
            token_expires_at=claims.expires_at,
        )

    async def acting(self, user_id: UserId, *, tenant: str | None) -> tuple[TenantId, frozenset[str], str]:
        """Return the tenant a user acts in, their scopes there and its plan: `tenant`, or the one they joined first.

        Raises ValidationFailed and AuthorizationFailed as `principal`.
        """
        wanted = _tenant_id(tenant)
        memberships = await self._memberships.of(user_id)
        for membership in memberships:
            if wanted in (None, membership.tenant_id):
                return membership.tenant_id, frozenset(scopes_of(membership.role)), membership.plan
        if wanted is not None:
            raise _not_theirs()
        return NO_TENANT, frozenset(), DEFAULT_PLAN


def _tenant_id(tenant: str | None) -> TenantId | None:
    if tenant is None:
        return None
    if not is_uuid(tenant):
        fault = {"pointer": "", "message": "X-Tenant-ID should be a UUID in lower case with hyphens"}
        raise ValidationFailed("The request is not valid.", violations=[fault])
    return TenantId(tenant)


def _not_valid() -> AuthenticationFailed:
    return AuthenticationFailed("The credential is not valid.")


def _not_theirs() -> AuthorizationFailed:
    return AuthorizationFailed("X-Tenant-ID names no tenant that this credential belongs to.")
