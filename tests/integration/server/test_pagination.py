"""Lists are walked by cursor while others write to them."""

import httpx
import pytest

from tests.integration.server.running import Api
from tests.integration.server.test_documents import DOCUMENTS, listed, post


async def test_walk_by_cursor_sees_each_document_once_while_others_are_posted(client: httpx.AsyncClient) -> None:
    """What was there at the start comes in order, nothing twice; with skip the same walk would repeat documents."""
    first = [(await post(client))["document_id"] for _ in range(7)]
    seen, skips, cursor = [], [], None
    while True:
        page = await listed(client, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["document_id"] for item in page["items"]]
        skips.append(page["skip"])
        assert page["has_more"] is (page["next_cursor"] is not None)
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await post(client)
    assert seen == first[::-1]
    assert skips == [0, 2, 4, 6]
    assert page.keys() == {"items", "total", "skip", "limit", "has_more", "next_cursor"}


async def test_document_deleted_under_the_cursor_ends_nothing(client: httpx.AsyncClient) -> None:
    """The cursor names a place in the order, not a row that has to be there."""
    made = [(await post(client))["document_id"] for _ in range(4)]
    page = await listed(client, limit=2)
    assert (await client.delete(f"{DOCUMENTS}/{made[2]}")).status_code == 202
    rest = await listed(client, cursor=page["next_cursor"])
    assert [item["document_id"] for item in rest["items"]] == [made[1], made[0]]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [({"skip": "0"}, "/skip"), ({"status": "failed"}, "/cursor"), ({"search": "x"}, "/cursor")],
)
async def test_mixed_cursor_is_refused(client: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    """A cursor goes on with the filters it began with, and knows its place by itself."""
    for _ in range(2):
        await post(client)
    cursor = (await listed(client, limit=1))["next_cursor"]
    answer = await client.get(DOCUMENTS, params={"cursor": cursor, **query})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert [violation["pointer"] for violation in error["details"]["violations"]] == [pointer]


async def test_cursor_of_another_tenant_is_refused(api: Api, client: httpx.AsyncClient) -> None:
    """As if it had been made up."""
    for _ in range(2):
        await post(client)
    cursor = (await listed(client, limit=1))["next_cursor"]
    _, key = await api.tenant()
    async with api.client(key) as other:
        foreign = await other.get(DOCUMENTS, params={"cursor": cursor})
        invented = await other.get(DOCUMENTS, params={"cursor": "x.y"})
    assert foreign.status_code == invented.status_code == 400
    assert foreign.json()["error"]["details"] == invented.json()["error"]["details"]
