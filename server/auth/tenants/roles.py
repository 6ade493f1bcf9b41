"""What each role may do, and who may hand a role on: nobody gives what they do not have."""

from collections.abc import Collection

from server.auth.principal import Scope
from stores.sql.models import Role

_OWNERS_ONLY = frozenset({Scope.TENANT_DELETE, Scope.OWNERS_WRITE})
# Of secrets everybody sees which there are; what they are is shown to whoever answers for the tenant, and to keys that
# were made for it. Who builds stores secrets and lets flows use them.
_VALUES = frozenset({Scope.VAULT_READ})
_READ = frozenset(scope for scope in Scope if scope.endswith((":read", ":list"))) - _VALUES
_BUILD = (
    frozenset(scope for scope in Scope if scope.startswith(("rag:", "keys:", "webhooks:", "vault:", "agents:")))
    - _VALUES
)

_SCOPES = {
    Role.OWNER: frozenset(Scope),
    Role.ADMIN: frozenset(Scope) - _OWNERS_ONLY,
    Role.DEVELOPER: _READ | _BUILD,
    Role.VIEWER: _READ,
}


def scopes_of(role: Role) -> frozenset[Scope]:
    """Return what somebody of this role may do."""
    return _SCOPES[role]


def may_hand_on(role: Role, scopes: Collection[str]) -> bool:
    """Whether whoever has `scopes` may give `role` to somebody, or take it away: they have all that it brings."""
    return scopes_of(role) <= frozenset(scopes)
