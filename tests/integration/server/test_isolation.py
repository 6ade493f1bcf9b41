"""Tenants do not know of each other, on any database."""

import httpx

from tests.integration.server.running import Api

DOCUMENTS = "/api/v1/rag/documents"
INGEST = "/api/v1/rag/ingest"


async def test_a_stranger_sees_what_nobody_sees(
    api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """On every route, another tenant's id and an unknown one get the same bytes, but for the request id."""
    accepted = (await client.post(INGEST, json={"source_type": "text", "source": "Mine."})).json()
    await api.work()
    for method, path, real in (
        ("GET", "/api/v1/rag/documents/{}", accepted["document_id"]),
        ("DELETE", "/api/v1/rag/documents/{}", accepted["document_id"]),
        ("GET", "/api/v1/rag/documents/{}/chunks", accepted["document_id"]),
        ("POST", "/api/v1/rag/documents/{}/reprocess", accepted["document_id"]),
        ("GET", "/api/v1/rag/jobs/{}", accepted["job_id"]),
    ):
        unknown = real[:-4] + ("0000" if real[-4:] != "0000" else "1111")
        theirs = await stranger.request(method, path.format(real), headers={"x-request-id": "same"})
        nobodys = await stranger.request(method, path.format(unknown), headers={"x-request-id": "same"})
        assert (theirs.status_code, theirs.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
        assert theirs.content.replace(real.encode(), unknown.encode()) == nobodys.content
        assert unclocked(theirs) == unclocked(nobodys)
    assert (await stranger.get(DOCUMENTS)).json()["total"] == 0
    assert (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()["status"] == "indexed"


def unclocked(answer: httpx.Response) -> dict[str, str]:
    """Return the headers without those that count requests and seconds: they differ between any two answers."""
    return {name: value for name, value in answer.headers.items() if "ratelimit" not in name}
