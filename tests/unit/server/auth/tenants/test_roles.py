"""Roles: who may do what, and who may hand on what."""

import pytest

from server.auth.principal import Scope
from server.auth.tenants.roles import may_hand_on, scopes_of
from stores.sql.models import Role

HIGHEST_FIRST = [Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.VIEWER]


def test_each_role_may_do_more_than_the_next() -> None:
    """An owner may do all; a viewer may read, and nothing else. What a secret is, is not for everybody to read."""
    assert scopes_of(Role.OWNER) == frozenset(Scope)
    assert scopes_of(Role.OWNER) - scopes_of(Role.ADMIN) == {"tenant:delete", "owners:write"}
    assert scopes_of(Role.DEVELOPER) - scopes_of(Role.VIEWER) == {
        *("rag:write", "keys:write", "webhooks:write", "vault:write", "agents:write", "agents:execute"),
    }
    read = {scope for scope in Scope if scope.endswith(":read")}
    assert scopes_of(Role.VIEWER) == (read - {"vault:read"}) | {"vault:list"}
    assert "vault:read" in scopes_of(Role.ADMIN)


@pytest.mark.parametrize("giver", HIGHEST_FIRST)
@pytest.mark.parametrize("role", HIGHEST_FIRST)
def test_a_role_is_handed_on_by_those_who_have_it(giver: Role, role: Role) -> None:
    """Nobody grants above their own role."""
    assert may_hand_on(role, scopes_of(giver)) == (HIGHEST_FIRST.index(giver) <= HIGHEST_FIRST.index(role))
