"""Tenants and members: who may change what, that an owner always remains, and that every change is on record."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from core.clock import FrozenClock
from core.errors import (
    AuthorizationFailed,
    CodexError,
    Conflict,
    PreconditionFailed,
    ResourceNotFound,
    ValidationFailed,
)
from core.ids import TenantId, UserId, new_id
from server.auth.api_keys.service import ApiKeys, create_key
from server.auth.authentication import Authentication
from server.auth.principal import Principal, Scope
from server.auth.tenants.account_log import AccountLog
from server.auth.tenants.invitations.service import LIFETIME, Invitations
from server.auth.tenants.roles import scopes_of
from server.auth.tenants.schemas import InvitationsQuery, InvitationView, MembersQuery, TenantsQuery
from server.auth.tenants.service import Memberships, Tenants
from server.openapi.pagination import Cursors
from stores.audit import AuditLog, verify
from stores.sql.engine import Database
from stores.sql.models import AuditEventRow, MembershipRow, Role, UserRow
from tests.factories.tokens import access_tokens


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


class Town:
    """Users, and a tenant that the first of them owns."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FrozenClock()
        self.memberships = Memberships(database, self.clock)
        self.tenants = Tenants(
            database=database,
            clock=self.clock,
            audit=AuditLog(self.clock),
            memberships=self.memberships,
            new_id=new_id,
            cursors=Cursors(lambda content: [hmac.digest(b"root", content, hashlib.sha256)]),
        )
        self.invitations = Invitations(tenants=self.tenants, normalised=lambda email: email.lower() or None)

    async def user(self, email: str) -> UserId:
        user_id, now = UserId(new_id()), self.clock.now()
        async with self.database.transaction() as session:
            session.add(UserRow(id=user_id, email=email, name=email, password_hash="", created_at=now, updated_at=now))
        return user_id

    async def owned(self, user_id: UserId) -> Principal:
        """Return the user as the owner of a new tenant."""
        nowhere = Principal(tenant_id=TenantId(new_id()), scopes=frozenset(), user_id=user_id)
        return self.acting(user_id, (await self.tenants.create(nowhere, "Observatory")).id)

    @staticmethod
    def acting(user_id: UserId, tenant_id: str, role: Role = Role.OWNER) -> Principal:
        """Return the user as the hall would, in `role`, whatever the tables say by now."""
        return Principal(tenant_id=TenantId(tenant_id), scopes=frozenset(scopes_of(role)), user_id=user_id)

    async def joined(self, owner: Principal, email: str, role: Role) -> Principal:
        """Return a new user who was invited and has accepted."""
        user_id = await self.user(email)
        await self.invite(owner, email, role)
        await self.invitations.accept(self.acting(user_id, new_id()), owner.tenant_id)
        return self.acting(user_id, owner.tenant_id, role)

    async def role(self, principal: Principal) -> Role | None:
        async with self.database.reading() as session:
            row = await session.get(MembershipRow, (principal.tenant_id, principal.user))
        return Role(row.role) if row is not None else None

    async def invite(self, by: Principal, email: str, role: Role) -> InvitationView:
        return await self.invitations.invite(by, by.tenant_id, email, role)

    async def change(self, by: Principal, whom: Principal, role: Role) -> None:
        await self.tenants.change_role(by, by.tenant_id, whom.user, role, expected=None)

    async def remove(self, by: Principal, whom: Principal) -> None:
        await self.tenants.remove_member(by, by.tenant_id, whom.user)


@pytest.fixture
def town(database: Database) -> Town:
    return Town(database)


async def refusal(attempt: Awaitable[object]) -> type[CodexError]:
    with pytest.raises(CodexError) as refused:
        await attempt
    return type(refused.value)


async def test_who_makes_a_tenant_owns_it(town: Town) -> None:
    """At once in this process, though their memberships had just been looked at."""
    user = await town.user("ada@example")
    assert await town.memberships.of(user) == []
    owner = await town.owned(user)
    assert [(each.tenant_id, each.role) for each in await town.memberships.of(user)] == [(owner.tenant_id, Role.OWNER)]
    page = await town.tenants.page(owner, TenantsQuery())
    assert [(item.id, item.role) for item in page.items] == [(owner.tenant_id, Role.OWNER)]


async def test_members_are_walked_once_while_some_come_and_go(town: Town) -> None:
    """Each who stayed throughout is seen once, though all joined in the same instant and those seen first leave."""
    owner = await town.owned(await town.user("owner@example.com"))
    staying = [owner, *[await town.joined(owner, f"{name}@example.com", Role.VIEWER) for name in "abcd"]]
    seen: list[str] = []
    cursor = None
    for number in range(10):
        leaving = await town.joined(owner, f"leaving-{number}@example.com", Role.VIEWER)
        page = await town.tenants.members(owner, owner.tenant_id, MembersQuery(limit=2, cursor=cursor))
        seen += [item.user_id for item in page.items]
        await town.remove(owner, leaving)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert cursor is None
    assert [user_id for user_id in seen if user_id in {each.user for each in staying}] == sorted(
        each.user for each in staying
    )


async def test_own_tenants_are_walked_once_while_one_ends(town: Town) -> None:
    """And the cursor of one person is none of another's."""
    person = await town.user("owner@example.com")
    owned = [await town.owned(person) for _ in range(5)]
    page = await town.tenants.page(owned[0], TenantsQuery(limit=2))
    seen = [item.id for item in page.items]
    await town.tenants.delete(next(each for each in owned if each.tenant_id == seen[0]), seen[0])
    rest = await town.tenants.page(owned[0], TenantsQuery(cursor=page.next_cursor))
    assert seen + [item.id for item in rest.items] == sorted(each.tenant_id for each in owned)
    stranger = town.acting(await town.user("stranger@example.com"), owned[0].tenant_id)
    assert await refusal(town.tenants.page(stranger, TenantsQuery(cursor=page.next_cursor))) is ValidationFailed


async def test_a_lost_update_is_refused(town: Town) -> None:
    """Of two who read the same version the second is told, for a tenant and for a member."""
    owner = await town.owned(await town.user("ada@example"))
    viewer = await town.joined(owner, "bob@example", Role.VIEWER)
    first = frozenset({'"1"'})
    renamed = await town.tenants.rename(owner, owner.tenant_id, "Dome", expected=first)
    assert (renamed.name, renamed.version) == ("Dome", 2)
    assert await refusal(town.tenants.rename(owner, owner.tenant_id, "Tower", expected=first)) is PreconditionFailed
    await town.tenants.change_role(owner, owner.tenant_id, viewer.user, Role.ADMIN, expected=first)
    again = town.tenants.change_role(owner, owner.tenant_id, viewer.user, Role.VIEWER, expected=first)
    assert await refusal(again) is PreconditionFailed
    assert await town.role(viewer) is Role.ADMIN


async def test_an_address_tells_nothing(town: Town) -> None:
    """Registered or not, the answer has the same members, and no id or name that somebody has. Case is nothing."""
    owner = await town.owned(await town.user("ada@example"))
    bob = await town.user("bob@example")
    answers = [(await town.invite(owner, email, Role.VIEWER)).model_dump() for email in ("no@example", "BOB@example")]
    for answer, email in zip(answers, ("no@example", "bob@example"), strict=True):
        made = {name: answer.pop(name) for name in ("id", "user_id", "email")}
        assert (made["user_id"], made["email"]) == (made["id"], email)
        assert made["id"] != bob
    assert answers[0] == answers[1]
    listed = (await town.invitations.page(owner, owner.tenant_id, InvitationsQuery(limit=1))).items
    assert [each.email for each in listed] == ["no@example"]
    await town.invitations.accept(town.acting(bob, new_id()), owner.tenant_id)
    for member in ("bob@example", "BOB@example"):
        assert await refusal(town.invite(owner, member, Role.VIEWER)) is Conflict
    assert await refusal(town.invite(owner, "", Role.VIEWER)) is Conflict


async def test_nobody_is_a_member_unasked(town: Town, database: Database) -> None:
    """Until they accept they have no right, nothing of theirs is on record there, and no default changes."""
    owner = await town.owned(await town.user("ada@example"))
    bob = await town.owned(await town.user("bob@example"))
    log = AccountLog(audit=AuditLog(town.clock), memberships=town.memberships)

    async def heard() -> list[str]:
        async with database.transaction() as session:
            await log.append(session, bob.user, action="session.started")
        async with database.reading() as session:
            rows = select(AuditEventRow.action).where(AuditEventRow.tenant_id == owner.tenant_id)
            return list(await session.scalars(rows.order_by(AuditEventRow.sequence)))

    await town.invite(owner, "bob@example", Role.VIEWER)
    invited = await town.memberships.invitations_of(bob.user)
    assert [(each.tenant_id, each.tenant_name, each.role) for each in invited] == [
        (owner.tenant_id, "Observatory", Role.VIEWER)
    ]
    assert await town.memberships.invitations_of(owner.user) == []
    assert [each.tenant_id for each in await town.memberships.of(bob.user)] == [bob.tenant_id]
    hall = Authentication(ApiKeys(database, town.clock), town.memberships, access_tokens(database, town.clock))
    assert await refusal(hall.acting(bob.user, tenant=owner.tenant_id)) is AuthorizationFailed
    assert await heard() == ["tenant.created", "member.invited"]
    members = await town.tenants.members(owner, owner.tenant_id, MembersQuery())
    assert [each.user_id for each in members.items] == [owner.user]
    town.clock.advance(timedelta(seconds=1))
    accepted = await town.invitations.accept(bob, owner.tenant_id)
    assert (accepted.user_id, accepted.role) == (bob.user, Role.VIEWER)
    assert await town.memberships.invitations_of(bob.user) == []
    assert [each.tenant_id for each in await town.memberships.of(bob.user)] == [bob.tenant_id, owner.tenant_id]
    assert (await hall.acting(bob.user, tenant=owner.tenant_id))[1] == scopes_of(Role.VIEWER)
    assert await heard() == ["tenant.created", "member.invited", "member.joined", "session.started"]
    assert await refusal(town.invitations.accept(bob, owner.tenant_id)) is ResourceNotFound


async def test_an_invitation_is_withdrawn_declined_replaced_or_ends(town: Town) -> None:
    """And is nobody else's; each leaves it unknown, in the words for a tenant that never was."""
    owner = await town.owned(await town.user("ada@example"))
    bob, eve = [town.acting(await town.user(email), new_id()) for email in ("bob@example", "eve@example")]
    here = owner.tenant_id
    await town.invite(owner, "bob@example", Role.OWNER)
    assert await refusal(town.invitations.accept(eve, here)) is ResourceNotFound
    assert await refusal(town.invitations.accept(bob, "none")) is ResourceNotFound
    newer = await town.invite(owner, "bob@example", Role.VIEWER)
    assert [each.role for each in await town.memberships.invitations_of(bob.user)] == [Role.VIEWER]
    await town.invitations.withdraw(owner, here, newer.id)
    assert await refusal(town.invitations.accept(bob, here)) is ResourceNotFound
    assert await refusal(town.invitations.withdraw(owner, here, newer.id)) is ResourceNotFound
    newest = await town.invite(owner, "bob@example", Role.VIEWER)
    assert await town.invitations.decline(bob, here) == newest.id
    assert await refusal(town.invitations.decline(bob, here)) is ResourceNotFound
    await town.invite(owner, "bob@example", Role.VIEWER)
    town.clock.advance(LIFETIME)
    assert await refusal(town.invitations.accept(bob, here)) is ResourceNotFound
    assert await town.memberships.invitations_of(bob.user) == []
    assert (await town.tenants.members(owner, here, MembersQuery())).total == 1


async def test_an_admin_touches_no_owners_invitation(town: Town) -> None:
    """Neither by asking again for less, nor by taking it back."""
    owner = await town.owned(await town.user("ada@example"))
    admin = await town.joined(owner, "bob@example", Role.ADMIN)
    made = await town.invite(owner, "eve@example", Role.OWNER)
    assert await refusal(town.invite(admin, "eve@example", Role.VIEWER)) is AuthorizationFailed
    assert await refusal(town.invitations.withdraw(admin, admin.tenant_id, made.id)) is AuthorizationFailed


async def test_of_two_acceptances_one_joins(town: Town, database_url: str) -> None:
    """Over two processes' connections at once; the other finds no invitation any more."""
    owner = await town.owned(await town.user("ada@example"))
    bob = town.acting(await town.user("bob@example"), new_id())
    await town.invite(owner, "bob@example", Role.VIEWER)
    elsewhere = Town(Database(database_url))
    attempts = (each.invitations.accept(bob, owner.tenant_id) for each in (town, elsewhere))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    await elsewhere.database.dispose()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MemberView", "ResourceNotFound"]


async def test_nobody_grants_or_takes_a_role_above_their_own(town: Town) -> None:
    """An admin handles admins and below; who may not write members handles nobody, but may leave."""
    owner = await town.owned(await town.user("ada@example"))
    admin = await town.joined(owner, "bob@example", Role.ADMIN)
    viewer = await town.joined(owner, "eve@example", Role.VIEWER)
    await town.user("new@example")
    for attempt in (
        town.invite(admin, "new@example", Role.OWNER),
        town.invite(viewer, "new@example", Role.VIEWER),
        town.change(admin, viewer, Role.OWNER),
        town.change(admin, admin, Role.OWNER),
        town.change(admin, owner, Role.VIEWER),
        town.remove(admin, owner),
        town.tenants.delete(admin, admin.tenant_id),
        town.change(viewer, viewer, Role.ADMIN),
        town.remove(viewer, admin),
        town.tenants.rename(viewer, viewer.tenant_id, "Mine", expected=None),
    ):
        assert await refusal(attempt) is AuthorizationFailed
    await town.change(admin, viewer, Role.ADMIN)
    await town.remove(viewer, viewer)
    assert await town.role(viewer) is None


async def test_a_key_hands_on_no_more_than_its_scopes(town: Town) -> None:
    """A key that may write members makes no owners without the scope for that."""
    owner = await town.owned(await town.user("ada@example"))
    await town.user("bob@example")
    scopes = frozenset(scopes_of(Role.ADMIN))
    key = Principal(tenant_id=owner.tenant_id, scopes=scopes, key_id=None)
    attempt = town.invite(key, "bob@example", Role.OWNER)
    assert await refusal(attempt) is AuthorizationFailed
    assert (await town.invite(key, "bob@example", Role.ADMIN)).role is Role.ADMIN


async def test_a_role_that_was_lowered_counts_at_once(town: Town) -> None:
    """What the hall still remembers of a former owner decides nothing."""
    owner = await town.owned(await town.user("ada@example"))
    other = await town.joined(owner, "bob@example", Role.OWNER)
    await town.change(owner, other, Role.VIEWER)
    assert await refusal(town.change(other, owner, Role.VIEWER)) is AuthorizationFailed
    await town.remove(owner, other)
    assert await refusal(town.tenants.delete(other, other.tenant_id)) is AuthorizationFailed


async def test_the_last_owner_stays(town: Town) -> None:
    """They can neither leave nor step down, until somebody else is an owner."""
    owner = await town.owned(await town.user("ada@example"))
    admin = await town.joined(owner, "bob@example", Role.ADMIN)
    assert await refusal(town.change(owner, owner, Role.ADMIN)) is Conflict
    assert await refusal(town.remove(owner, owner)) is Conflict
    await town.change(owner, owner, Role.OWNER)
    await town.change(owner, admin, Role.OWNER)
    await town.remove(owner, owner)
    assert await town.role(admin) is Role.OWNER


@pytest.mark.parametrize("round_number", range(5))
async def test_two_owners_who_demote_each_other_leave_one(town: Town, database_url: str, round_number: int) -> None:
    """Over two processes' connections at once, one comes first and the other is no owner any more."""
    one = await town.owned(await town.user("ada@example"))
    two = await town.joined(one, "bob@example", Role.OWNER)
    elsewhere = Town(Database(database_url))
    if round_number % 2:  # both leave
        verbs = (town.remove(one, one), elsewhere.remove(two, two))
    else:
        verbs = (town.change(one, two, Role.VIEWER), elsewhere.change(two, one, Role.VIEWER))
    outcomes = await asyncio.gather(*verbs, return_exceptions=True)
    await elsewhere.database.dispose()
    refused = [type(outcome) for outcome in outcomes if outcome is not None]
    assert refused in ([AuthorizationFailed], [Conflict])
    assert [await town.role(one), await town.role(two)].count(Role.OWNER) == 1


async def test_a_deleted_tenant_is_gone_for_all(town: Town, database: Database) -> None:
    """Its keys open nothing, its memberships count no more, and nobody finds it."""
    owner = await town.owned(await town.user("ada@example"))
    viewer = await town.joined(owner, "bob@example", Role.VIEWER)
    key = await create_key(database, town.clock, owner.tenant_id, name="k", mode="live", scopes=[Scope.RAG_READ])
    assert await ApiKeys(database, town.clock).find(key) is not None
    await town.tenants.delete(owner, owner.tenant_id)
    assert await ApiKeys(database, town.clock).find(key) is None
    assert await Memberships(database, town.clock).of(owner.user) == []
    assert await Memberships(database, town.clock).of(viewer.user) == []
    assert (await town.tenants.page(owner, TenantsQuery())).total == 0
    assert await refusal(town.tenants.get(owner, owner.tenant_id)) is ResourceNotFound
    assert await refusal(town.tenants.delete(owner, owner.tenant_id)) is ResourceNotFound


async def test_every_change_is_on_record(town: Town, database: Database) -> None:
    """One entry each, in a chain that holds; a refused change leaves none."""
    owner = await town.owned(await town.user("ada@example"))
    viewer = await town.joined(owner, "bob@example", Role.VIEWER)
    await town.tenants.rename(owner, owner.tenant_id, "Dome", expected=None)
    await town.change(owner, viewer, Role.ADMIN)
    await refusal(town.remove(owner, owner))
    await town.remove(owner, viewer)
    await town.tenants.delete(owner, owner.tenant_id)
    async with database.reading() as session:
        rows = list(await session.scalars(select(AuditEventRow).order_by(AuditEventRow.sequence)))
        assert (await verify(session, owner.tenant_id)).holds
        assert await session.scalar(select(func.count()).select_from(MembershipRow)) == 1
    assert [row.action for row in rows] == [
        "tenant.created",
        "member.invited",
        "member.joined",
        "tenant.renamed",
        "member.role_changed",
        "member.removed",
        "tenant.deleted",
    ]
    assert {row.actor for row in rows if row.action != "member.joined"} == {owner.subject}
    assert [row.actor for row in rows if row.action == "member.joined"] == [viewer.subject]
