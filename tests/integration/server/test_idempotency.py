"""Idempotency-Key over the wire: one effect, one answer, whatever the client does."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from server.auth.principal import Scope
from stores.blobs import BlobStore
from stores.sql.models import IdempotencyRow
from tests.integration.server.running import Api

TEXT = {"source_type": "text", "source": "Once."}
INGEST, DOCUMENTS = "/api/v1/rag/ingest", "/api/v1/rag/documents"


async def post(client: httpx.AsyncClient, key: str, body: Any = TEXT, **headers: str) -> httpx.Response:
    return await client.post(INGEST, json=body, headers={"idempotency-key": key, **headers})


async def documents(client: httpx.AsyncClient) -> int:
    total: int = (await client.get(DOCUMENTS)).json()["total"]
    return total


async def test_second_request_with_same_key_replays_the_first_answer(client: httpx.AsyncClient) -> None:
    """Same status, same body, the header that says so, and no second document."""
    first, second = await post(client, "k"), await post(client, "k")
    assert (first.status_code, first.headers.get("idempotent-replayed")) == (202, None)
    assert (second.status_code, second.content) == (202, first.content)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert await documents(client) == 1


async def test_same_key_with_another_body_is_refused(client: httpx.AsyncClient) -> None:
    """C18: a key stands for one request."""
    await post(client, "k")
    refused = await post(client, "k", {**TEXT, "source": "Twice."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await documents(client) == 1


async def test_the_same_request_spelled_differently_is_the_same(client: httpx.AsyncClient) -> None:
    """Order of fields and white space do not count, nor does the boundary of a form."""
    first = await post(client, "k")
    respelled = b'{ "source" : "Once.", "source_type":"text" }'
    headers = {"idempotency-key": "k", "content-type": "application/json"}
    again = await client.post(INGEST, content=respelled, headers=headers)
    assert again.content == first.content
    key, form, files = {"idempotency-key": "form"}, {"source_type": "file"}, {"source": ("a.txt", b"Text.")}
    sent = [await client.post(INGEST, headers=key, data=form, files=files) for _ in range(2)]
    assert sent[1].headers["idempotent-replayed"] == "true", sent[0].text


async def test_keys_are_of_one_caller_and_one_route(api: Api) -> None:
    """Another key, another tenant and another route each have their own `k`."""
    tenant_id, key = await api.tenant()
    _, foreign = await api.tenant()
    async with api.client(key) as one, api.client(await api.key(tenant_id)) as two, api.client(foreign) as three:
        answers = [await post(client, "k") for client in (one, two, three)]
        document_id = answers[0].json()["document_id"]
        deleted = await one.delete(f"{DOCUMENTS}/{document_id}", headers={"idempotency-key": "k"})
    assert len({answer.json()["document_id"] for answer in answers}) == 3
    assert (deleted.status_code, "idempotent-replayed" in deleted.headers) == (202, False)


async def test_a_refusal_is_replayed_too(client: httpx.AsyncClient) -> None:
    """A 404 stays a 404 under its key, even byte by byte."""
    path = f"{DOCUMENTS}/00000000-0000-7000-8000-000000000000"
    first, second = [await client.delete(path, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert (first.status_code, second.status_code, second.content) == (404, 404, first.content)
    assert second.headers["idempotent-replayed"] == "true"


async def test_a_failure_of_ours_may_be_tried_again(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 is no answer to keep: under the same key the next try is carried out, and once only."""
    with monkeypatch.context() as broken:
        broken.setattr(BlobStore, "_put", lambda *_: (_ for _ in ()).throw(OSError("full")))
        failed = await post(client, "k")
    retried, again = await post(client, "k"), await post(client, "k")
    assert (failed.status_code, retried.status_code) == (500, 202)
    assert "idempotent-replayed" not in retried.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await documents(client) == 1


async def test_what_the_hall_refuses_is_not_kept(api: Api) -> None:
    """A malformed body, a missing scope, a wrong key: mended, the request goes through under the same key."""
    tenant_id, key = await api.tenant()
    weak = await api.key(tenant_id, [Scope.RAG_READ])
    async with api.client(key) as client, api.client(weak) as reader:
        assert (await post(client, "k", {"source_type": "text"})).status_code == 400
        assert (await post(reader, "k")).status_code == 403
        mended = await post(client, "k")
    assert (mended.status_code, "idempotent-replayed" in mended.headers) == (202, False)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "clé"])
async def test_malformed_keys_are_refused(client: httpx.AsyncClient, key: str) -> None:
    """A key is 1 to 255 visible ASCII characters, once."""
    given = [(b"idempotency-key", key.encode("latin-1"))]
    refused = await client.post(INGEST, json=TEXT, headers=given)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    twice = await client.post(INGEST, json=TEXT, headers=[("idempotency-key", "a"), ("idempotency-key", "b")])
    assert twice.status_code == 400
    assert await documents(client) == 0


async def test_a_waited_for_outcome_is_what_is_replayed(api: Api) -> None:
    """With Prefer: wait the kept answer is the outcome, once there is one."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        waiting = asyncio.create_task(post(client, "k", prefer="wait=30"))
        while not await api.work():
            await asyncio.sleep(0.02)
        first = await waiting
        second = await post(client, "k", prefer="wait=30")
    assert (first.status_code, first.json()["status"]) == (200, "indexed")
    assert (second.status_code, second.content) == (200, first.content)
    assert second.headers["preference-applied"] == "wait=30"


async def test_a_request_under_way_is_neither_doubled_nor_waited_for(api: Api) -> None:
    """C18: while the first waits for its outcome, its retry gets the promise that was committed."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        waiting = asyncio.create_task(post(client, "k", prefer="wait=60"))
        while await documents(client) == 0:
            await asyncio.sleep(0.02)
        second = await post(client, "k", prefer="wait=60")
        await api.work()
        first = await waiting
        assert (second.status_code, second.json()["status"]) == (202, "queued")
        assert second.json()["job_id"] == first.json()["job_id"]
        assert await documents(client) == 1


async def test_answers_are_kept_sealed(api: Api) -> None:
    """An answer may hold what is shown only once; the table does not."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        document_id = (await post(client, "k")).json()["document_id"]
    async with api.database.reading() as session:
        [row] = await session.scalars(select(IdempotencyRow))
    assert row.sealed_body is not None
    assert document_id.encode() not in row.sealed_body
    assert (row.status, len(row.identity), "k" in (row.identity, row.fingerprint)) == (202, 36, False)
