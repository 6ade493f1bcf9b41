"""What every answer says of ids and times is in one form: UUIDv7 as text, ISO 8601 with its zone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

LISTS = ("rag/documents", "rag/jobs", "auth/api-keys", "audit/events", "tenants/{tenant_id}")


def fields_of(answer: Any) -> Iterator[tuple[str, Any]]:
    """Yield every named value, however deep."""
    if isinstance(answer, dict):
        yield from answer.items()
    for inner in answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ():
        yield from fields_of(inner)


async def test_ids_and_times_have_one_form(client: httpx.AsyncClient) -> None:
    """Of documents, jobs, keys, tenants, entries of the log, and requests."""
    tenant_id = (await client.get("/api/v1/auth/me")).json()["tenant_id"]
    made = [
        await client.post("/api/v1/rag/ingest", json={"source_type": "text", "source": "The dome opens at dusk."}),
        await client.post("/api/v1/auth/api-keys", json={"name": "k", "scopes": ["rag:read"]}),
    ]
    shown = [await client.get(f"/api/v1/{path.format(tenant_id=tenant_id)}") for path in LISTS]
    found = [field for answer in (*made, *shown) for field in fields_of(answer.raise_for_status().json())]
    ids = [value for name, value in found if (name == "id" or name.endswith("_id")) and isinstance(value, str)]
    ids += [answer.headers["x-request-id"] for answer in made]
    times = [value for name, value in found if name.endswith("_at") and value is not None]
    assert len(ids) > 10
    assert [each for each in ids if str(UUID(each)) != each or UUID(each).version != 7] == []
    assert len(times) > 5
    assert [each for each in times if datetime.fromisoformat(each).utcoffset() is None] == []
