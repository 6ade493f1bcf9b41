"""v0 over HTTP: as v1, with the dates of its end on every answer."""

import httpx
import pytest

from server.openapi.versions import V0
from tests.integration.server.running import Api

QUERY = {"query": "When does the dome open?"}


def tells(answer: httpx.Response, successor: str) -> bool:
    return {name: answer.headers.get(name) for name in ("deprecation", "sunset", "link")} == V0.headers(successor)


async def test_v0_does_what_v1_does_and_says_that_it_will_end(api: Api, client: httpx.AsyncClient) -> None:
    """A document posted to v0 is found through both."""
    posted = await client.post("/api/v0/rag/ingest", json={"source_type": "text", "source": "The dome opens at dusk."})
    assert (posted.status_code, tells(posted, "/api/v1/rag/ingest")) == (202, True)
    await api.work()
    old, new = [await client.post(f"/api/{version}/rag/query", json=QUERY) for version in ("v0", "v1")]
    assert old.json()["results"] == new.json()["results"] != []
    assert tells(old, "/api/v1/rag/query")
    assert not {"deprecation", "sunset"} & new.headers.keys()


@pytest.mark.parametrize(
    ("method", "path", "status", "successor"),
    [
        ("POST", "/api/v0/rag/query", 415, "/api/v1/rag/query"),
        ("GET", "/api/v0/rag/query", 405, "/api/v1/rag/query"),
        ("GET", "/api/v0/nothing", 404, "/api/v1"),
    ],
)
async def test_refusals_of_v0_say_it_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, successor: str
) -> None:
    """Whoever only ever sees errors should learn it as well."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"]
    assert tells(answer, successor)


async def test_v0_is_nobodys_back_door(api: Api) -> None:
    """The same credentials, scopes and limits as in v1."""
    async with api.client() as stranger:
        refused = await stranger.post("/api/v0/rag/query", json=QUERY)
    assert (refused.status_code, tells(refused, "/api/v1/rag/query")) == (401, True)
    assert "x-ratelimit-limit" in refused.headers


async def test_versions_are_public(api: Api) -> None:
    """No key is needed to plan a migration."""
    async with api.client() as stranger:
        answer = await stranger.get("/api/versions")
    assert [version["version"] for version in answer.json()["versions"]] == ["v1", "v0"]
