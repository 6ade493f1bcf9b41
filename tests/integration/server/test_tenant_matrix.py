"""Every operation against everybody who should not get through it: nothing of one tenant shows in another.

The rows are generated from the registry. An operation without an entry in ROWS fails the first test: say how its
body is made and what its path parameters name, and all the rest follows.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.clock import SystemClock
from core.ids import TenantId, new_id
from server.app.application import operations
from server.app.versions import adapted
from server.auth.principal import Scope
from server.openapi.registry import Operation
from server.openapi.versions import DEPRECATED
from stores import embedded_redis
from stores.sql.models import IndexTagRow, MembershipRow, Role, SessionRow, UserRow
from tests.integration.agents.flows import flow_of
from tests.integration.server.running import Api, running, settings_for

MALFORMED = ["", "x", "00000000-0000-0000-0000-00000000000A", "00000000000000000000000000000000"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How to call an operation well: its JSON body, and of what each path parameter is the id (see `House`)."""

    body: Mapping[str, Any] | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


TEXT = {"source_type": "text", "source": "The dome opens at dusk."}
DOCUMENT, JOB, KEY = {"document_id": "document"}, {"job_id": "job"}, {"key_id": "key"}
TENANT = {"tenant_id": "tenant"}
GENERATION = {"generation_id": "generation"}
SOURCE = {"name": "s", "type": "url", "location": "https://example.com/"}
HOOK = {"url": "https://93.184.216.34/hook", "event_types": ["*"]}
ENDPOINT = {"endpoint_id": "endpoint"}
GOLDEN = {"name": "daily", "questions": [{"query": "dome", "relevant": [{"external_id": "dome"}]}]}
SECRET, STORED = {"key": "stripe/live", "value": "v"}, {"key": "secret"}
EXECUTION = {"execution_id": "execution"}
FLOW, DRAWN = {"flow_id": "flow"}, {"nodes": [{"id": "in", "type": "input"}], "edges": []}
MEMBER = {"tenant_id": "tenant", "user_id": "member"}
PERSON = {"email": "ada@example.com", "password": "a long enough password"}
CODE = {"code": "492039"}

ROWS = {
    "get_health": Row(),
    "get_readiness": Row(),
    "get_status": Row(),
    "get_openapi": Row(),
    "get_docs": Row(),
    "list_versions": Row(),
    "register": Row(body=PERSON | {"name": "Ada"}),
    "confirm_registration": Row(body={"token": "x", "password": "x"}),
    "ask_password_reset": Row(body={"email": "nobody@example.com"}),
    "reset_password": Row(body={"token": "x", "new_password": "a long enough password"}),
    "log_in": Row(body=PERSON),
    "refresh": Row(body={"refresh_token": "x"}),
    "log_out": Row(),
    "who_am_i": Row(),
    "change_password": Row(body={"current_password": "x", "new_password": "x"}),
    "list_sessions": Row(),
    "end_session": Row(ids={"session_id": "session"}),
    "get_jwks": Row(),
    "get_totp": Row(),
    "enrol_totp": Row(),
    "confirm_totp": Row(body=CODE),
    "disable_totp": Row(body=CODE),
    "create_api_key": Row(body={"name": "k", "scopes": ["rag:read"]}),
    "list_api_keys": Row(),
    "get_api_key": Row(ids=KEY),
    "change_api_key": Row(ids=KEY, body={"name": "k"}),
    "revoke_api_key": Row(ids=KEY),
    "rotate_api_key": Row(ids=KEY, body={}),
    "create_tenant": Row(body={"name": "t"}),
    "list_tenants": Row(),
    "get_tenant": Row(ids=TENANT),
    "rename_tenant": Row(ids=TENANT, body={"name": "t"}),
    "delete_tenant": Row(ids=TENANT),
    "list_members": Row(ids=TENANT),
    "add_member": Row(ids=TENANT, body={"email": "nobody@example.com", "role": "viewer"}),
    "change_member": Row(ids=MEMBER, body={"role": "admin"}),
    "remove_member": Row(ids=MEMBER),
    "list_invitations": Row(ids=TENANT),
    "withdraw_invitation": Row(ids=TENANT | {"invitation_id": "invitation"}),
    "accept_invitation": Row(ids=TENANT),
    "decline_invitation": Row(ids=TENANT),
    "list_audit_events": Row(),
    "ingest": Row(body=TEXT),
    "ingest_batch": Row(body={"items": [TEXT]}),
    "delete_documents": Row(body={"filter": {"collection": "default"}, "dry_run": True}),
    "reprocess_documents": Row(body={"filter": {"collection": "default"}}),
    "preview": Row(body=TEXT),
    "list_documents": Row(),
    "get_document": Row(ids=DOCUMENT),
    "list_chunks": Row(ids=DOCUMENT),
    "delete_document": Row(ids=DOCUMENT),
    "reprocess_document": Row(ids=DOCUMENT),
    "change_document": Row(ids=DOCUMENT, body={"metadata": {"team": "optics"}}),
    "list_revisions": Row(ids=DOCUMENT),
    "list_collections": Row(),
    "list_jobs": Row(),
    "get_job": Row(ids=JOB),
    "cancel_job": Row(ids=JOB),
    "query_documents": Row(body={"query": "dome"}),
    "answer_question": Row(body={"query": "dome", "threshold": 0}),
    "create_generation": Row(body={}),
    "list_generations": Row(),
    "get_generation": Row(ids=GENERATION),
    "promote_generation": Row(ids=GENERATION, body={}),
    "roll_back_generation": Row(body={}),
    "retire_generation": Row(ids=GENERATION),
    "create_golden_set": Row(body=GOLDEN),
    "list_golden_sets": Row(),
    "get_golden_set": Row(ids={"golden_set_id": "golden_set"}),
    "replace_golden_set": Row(ids={"golden_set_id": "golden_set"}, body=GOLDEN),
    "delete_golden_set": Row(ids={"golden_set_id": "golden_set"}),
    "create_source": Row(body=SOURCE),
    "list_sources": Row(),
    "get_source": Row(ids={"source_id": "source"}),
    "change_source": Row(ids={"source_id": "source"}, body={"paused": True}),
    "delete_source": Row(ids={"source_id": "source"}),
    "crawl_source": Row(ids={"source_id": "source"}),
    "list_crawls": Row(ids={"source_id": "source"}),
    "create_index_tag": Row(body={"name": "audit"}),
    "list_index_tags": Row(),
    "delete_index_tag": Row(ids={"name": "index_tag"}),
    "create_webhook_endpoint": Row(body=HOOK),
    "list_webhook_endpoints": Row(),
    "get_webhook_endpoint": Row(ids=ENDPOINT),
    "change_webhook_endpoint": Row(ids=ENDPOINT, body={"description": "d"}),
    "delete_webhook_endpoint": Row(ids=ENDPOINT),
    "enable_webhook_endpoint": Row(ids=ENDPOINT),
    "disable_webhook_endpoint": Row(ids=ENDPOINT),
    "rotate_webhook_secret": Row(ids=ENDPOINT),
    "send_webhook_test": Row(ids=ENDPOINT, body={"event_type": "rag.document.indexed"}),
    "list_webhook_deliveries": Row(ids=ENDPOINT),
    "get_webhook_delivery": Row(ids={"delivery_id": "delivery"}),
    "replay_webhook_events": Row(ids=ENDPOINT, body={"after": 0}),
    "list_event_types": Row(),
    "list_events": Row(),
    "receive_github_event": Row(body={}),
    "store_secret": Row(body=SECRET),
    "list_secrets": Row(),
    "read_secret": Row(ids=STORED),
    "delete_secret": Row(ids=STORED),
    "undelete_secret": Row(ids=STORED),
    "destroy_secret": Row(ids=STORED, body={}),
    "list_secret_versions": Row(ids=STORED),
    "roll_back_secret": Row(ids=STORED, body={"version": 1}),
    "rotate_secret": Row(ids=STORED, body={"value": "v"}),
    "list_secret_uses": Row(ids=STORED),
    "list_node_types": Row(),
    "create_flow": Row(body=DRAWN | {"name": "f"}),
    "list_flows": Row(),
    "validate_flow": Row(body=DRAWN),
    "get_flow": Row(ids=FLOW),
    "change_flow": Row(ids=FLOW, body={"description": "d"}),
    "delete_flow": Row(ids=FLOW),
    "list_flow_versions": Row(ids=FLOW),
    "publish_flow": Row(ids=FLOW, body={}),
    "roll_back_flow": Row(ids=FLOW, body={"version": 1}),
    "execute_flow": Row(body={"flow_id": "x", "mode": "background"}),
    "list_executions": Row(),
    "follow_execution": Row(ids=EXECUTION),
    "get_execution": Row(ids=EXECUTION),
    "list_steps": Row(ids=EXECUTION),
    "cancel_execution": Row(ids=EXECUTION),
    "resume_execution": Row(ids=EXECUTION, body={}),
    "fork_execution": Row(ids=EXECUTION, body={}),
    "signal_execution": Row(ids=EXECUTION, body={"name": "go"}),
    "respond_to_execution": Row(ids=EXECUTION, body={"answer": "yes"}),
}


@dataclass(frozen=True, kw_only=True)
class House:
    """One tenant, a key of it that may do everything, and an id of each kind of thing it has."""

    tenant_id: TenantId
    key: str
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one: while nobody counts, the vault answers nothing."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve with limits that the matrix does not reach."""
    settings = settings_for(
        tmp_path,
        database_url,
        redis_url=redis_url,
        rate_limit_authenticated_per_minute=1_000_000,
        rate_limit_unauthenticated_per_minute=1_000_000,
    )
    async with running(settings) as api:
        yield api


async def executed(api: Api, tenant_id: TenantId, key: str) -> str:
    """Return the id of an execution that waits for a worker."""
    flow_id = await flow_of(api.database, tenant_id, {"nodes": [{"id": "in", "type": "input"}], "edges": []})
    async with api.client(key) as client:
        asked = {"flow_id": flow_id, "mode": "background"}
        return str((await client.post("/api/v1/agents/execute", json=asked)).json()["execution_id"])


async def furnished(api: Api) -> House:
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        posted = (await client.post("/api/v1/rag/ingest", json=TEXT)).json()
        made = (await client.post("/api/v1/auth/api-keys", json={"name": "k", "scopes": ["rag:read"]})).json()
        generation_id = (await client.post("/api/v1/rag/generations", json={})).json()["generation_id"]
        source = (await client.post("/api/v1/rag/sources", json=SOURCE | {"name": "site"})).json()
        golden = (await client.post("/api/v1/rag/golden-sets", json=GOLDEN | {"name": "weekly"})).json()
        hook = (await client.post("/api/v1/webhooks/endpoints", json=HOOK)).json()
        hook_path = f"/api/v1/webhooks/endpoints/{hook['endpoint_id']}"
        sent = (await client.post(f"{hook_path}/test", json={"event_type": "rag.document.indexed"})).json()
        asked = {"email": f"{new_id()}@example.com", "role": "viewer"}
        invitation = (await client.post(f"/api/v1/tenants/{tenant_id}/members", json=asked)).json()
        flow = (await client.post("/api/v1/agents/flows", json=DRAWN | {"name": "kept"})).json()
        secret = (await client.post("/api/v1/vault/secrets", json=SECRET | {"key": f"k-{new_id()}"})).json()
    execution_id = await executed(api, tenant_id, key)
    member, session_id, now = new_id(), new_id(), SystemClock().now()
    tag = f"t{new_id()}"
    async with api.database.transaction() as session:
        session.add(
            UserRow(id=member, email=f"{member}@example", name="", password_hash="", created_at=now, updated_at=now)
        )
        await session.flush()
        session.add(
            IndexTagRow(
                tenant_id=tenant_id,
                name=tag,
                generation_id=generation_id,
                version=1,
                created_by="test",
                created_at=now,
            )
        )
        session.add(SessionRow(id=session_id, user_id=member, created_at=now, expires_at=now + timedelta(days=1)))
        session.add(
            MembershipRow(
                tenant_id=tenant_id, user_id=member, role=Role.VIEWER, version=1, created_at=now, updated_at=now
            )
        )
    ids = {
        "tenant": tenant_id,
        "document": posted["document_id"],
        "job": posted["job_id"],
        "key": made["api_key"]["id"],
        "member": member,
        "invitation": invitation["id"],
        "session": session_id,
        "generation": generation_id,
        "golden_set": golden["golden_set_id"],
        "index_tag": tag,
        "source": source["source_id"],
        "endpoint": hook["endpoint_id"],
        "delivery": sent["delivery_id"],
        "secret": secret["key"],
        "execution": execution_id,
        "flow": flow["flow_id"],
    }
    return House(tenant_id=tenant_id, key=key, ids=ids)


def guarded() -> Iterator[Operation]:
    """Yield what asks for a credential, in every version that is served."""
    for served in (operations(), *(adapted(operations(), version).values() for version in DEPRECATED)):
        yield from (operation for operation in served if operation.requires is not None)


def row_of(operation: Operation) -> Row:
    """Return the operation's row: a deprecated version asks as the current one does."""
    name = operation.name
    for version in DEPRECATED:
        name = name.removesuffix(f"_{version.name}")
    return ROWS[name]


async def call(
    client: httpx.AsyncClient, operation: Operation, ids: Mapping[str, str], tenants: tuple[str, ...] = ()
) -> httpx.Response:
    """Call the operation well, but for what `ids` and `tenants` are to spoil."""
    row = row_of(operation)
    path = operation.path.format(**{name: ids[name] for name in operation.path_parameters})
    headers = [("x-request-id", "same"), *(("x-tenant-id", tenant) for tenant in tenants)]
    return await client.request(
        operation.method,
        path,
        headers=headers + ([("content-type", "application/json")] if row.body is not None else []),
        content=json.dumps(row.body) if row.body is not None else None,
    )


def own_ids(house: House, operation: Operation) -> dict[str, str]:
    return {name: house.ids[kind] for name, kind in row_of(operation).ids.items()}


def test_every_operation_has_its_row() -> None:
    """And each row says what every parameter of the path names."""
    assert {operation.name for operation in operations()} - ROWS.keys() == set()
    for operation in operations():
        assert set(operation.path_parameters) == ROWS[operation.name].ids.keys(), operation.name


async def test_nothing_opens_without_a_credential(api: Api) -> None:
    """No credential, and one that is none: 401 before anything else is looked at."""
    house = await furnished(api)
    for credential in (None, "cxk_live_nothing", "x"):
        async with api.client(credential) as client:
            for operation in guarded():
                answer = await call(client, operation, own_ids(house, operation))
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTHENTICATION_FAILED"), operation


async def test_nothing_opens_without_its_scope(api: Api) -> None:
    """A key with every scope but the one: 403, which names the scope. A key is nobody where a person is demanded."""
    house = await furnished(api)
    for operation in guarded():
        few = [scope for scope in Scope if scope != operation.scope]
        async with api.client(await api.key(house.tenant_id, few)) as client:
            answer = await call(client, operation, own_ids(house, operation))
        assert operation.requires is not None
        if operation.requires.person or operation.scope is not None:
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED"), operation
        if not operation.requires.person and operation.scope is not None:
            assert answer.json()["error"]["details"] == {"required_scope": operation.scope}


async def test_another_tenants_id_is_nobodys(api: Api) -> None:
    """In each parameter of each path: 404 with the bytes that an unknown id gets, and nothing happens to the thing."""
    mine, theirs = await furnished(api), await furnished(api)
    cells = 0
    async with api.client(mine.key) as client:
        for operation in guarded():
            for name, kind in row_of(operation).ids.items():
                unknown = new_id()
                foreign = await call(client, operation, own_ids(mine, operation) | {name: theirs.ids[kind]})
                nobodys = await call(client, operation, own_ids(mine, operation) | {name: unknown})
                expected = 403 if operation.requires is not None and operation.requires.person else 404
                assert (foreign.status_code, nobodys.status_code) == (expected, expected), (operation.name, name)
                same = foreign.content.replace(theirs.ids[kind].encode(), unknown.encode())
                assert same == nobodys.content, (operation.name, name)
                cells += 1
    assert cells >= 17
    async with api.client(theirs.key) as owner:
        for path in ("rag/documents/{document}", "auth/api-keys/{key}", "tenants/{tenant}"):
            assert (await owner.get(f"/api/v1/{path.format(**theirs.ids)}")).status_code == 200
        members = (await owner.get(f"/api/v1/tenants/{theirs.tenant_id}/members")).json()["items"]
    assert [(member["user_id"], member["role"]) for member in members] == [(theirs.ids["member"], "viewer")]


async def test_no_header_leads_to_another_tenant(api: Api) -> None:
    """Another's tenant gets the bytes that nobody's gets, 403; a malformed or repeated one gets 400. On everything."""
    mine, theirs = await furnished(api), await furnished(api)
    async with api.client(mine.key) as client:
        for operation in guarded():
            ids = own_ids(mine, operation)
            foreign = await call(client, operation, ids, (theirs.tenant_id,))
            nobodys = await call(client, operation, ids, (new_id(),))
            assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED"), operation
            assert foreign.content == nobodys.content
            for tenants in [*((given,) for given in MALFORMED), (mine.tenant_id,) * 2, (mine.tenant_id, new_id())]:
                refused = await call(client, operation, ids, tenants)
                code = refused.json()["error"]["code"]
                assert (refused.status_code, code) == (400, "VALIDATION_ERROR"), (operation.name, tenants)
