"""What the server answers is what its published document says."""

import json
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from tests.integration.server.running import Api

RAG = "/api/v1/rag"
OTHER_ROOMS = tuple(f"{RAG}/{room}" for room in ("generations", "golden-sets", "index/", "sources"))


class Published:
    """The document as a client gets it, and a check of answers against it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.checked: set[str] = set()

    def check(self, path: str, answer: httpx.Response) -> Any:
        """Assert that `answer` matches what is declared for its method, path and status; return its body."""
        described = self.document["paths"][path][answer.request.method.lower()]
        response = described["responses"].get(str(answer.status_code), described["responses"]["default"])
        schema = response["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": self.document["components"]}).validate(answer.json())
        assert answer.headers["content-type"] == "application/json"
        self.checked.add(described["operationId"])
        return answer.json()


async def test_every_operation_on_documents_answers_as_declared(api: Api, client: httpx.AsyncClient) -> None:
    """All operations on documents, with a good answer and a bad one, have bodies of the declared schema.

    For the other rooms the fuzzer compares every answer it gets (tests/acceptance/test_fuzz.py).
    """
    published = Published((await client.get("/openapi.json")).json())
    published.check("/openapi.json", await client.get("/openapi.json"))
    published.check("/health", await client.get("/health"))
    published.check("/ready", await client.get("/ready"))
    published.check("/status", await client.get("/status"))

    body = {"source_type": "text", "source": "The dome opens at dusk.", "metadata": {"a": 1}, "external_id": "x"}
    accepted = published.check(f"{RAG}/ingest", await client.post(f"{RAG}/ingest", json=body))
    published.check(f"{RAG}/ingest", await client.post(f"{RAG}/ingest", json={}))
    await api.work()

    documents, document = f"{RAG}/documents", f"{RAG}/documents/{accepted['document_id']}"
    published.check(documents, await client.get(documents))
    published.check(documents, await client.get(documents, params={"limit": 0}))
    published.check(f"{documents}/{{document_id}}", await client.get(document))
    published.check(f"{documents}/{{document_id}}/chunks", await client.get(f"{document}/chunks"))
    for explain in (False, True):
        question = {"query": "dome", "explain": explain}
        assert published.check(f"{RAG}/query", await client.post(f"{RAG}/query", json=question))["total"] == 1
    job = published.check(f"{RAG}/jobs/{{job_id}}", await client.get(f"{RAG}/jobs/{accepted['job_id']}"))
    assert job["status"] == "succeeded"
    published.check(f"{RAG}/answer", await client.post(f"{RAG}/answer", json={"query": "dome", "explain": True}))
    for listing in ("collections", "jobs"):
        published.check(f"{RAG}/{listing}", await client.get(f"{RAG}/{listing}"))
    published.check(f"{documents}/{{document_id}}/revisions", await client.get(f"{document}/revisions"))
    changed = await client.patch(document, json={"metadata": {"a": 2}})
    published.check(f"{documents}/{{document_id}}", changed)
    cancelled = await client.post(f"{RAG}/jobs/{accepted['job_id']}/cancel")
    published.check(f"{RAG}/jobs/{{job_id}}/cancel", cancelled)
    await api.work()
    for deed in ("delete", "reprocess"):
        named = {"document_ids": [accepted["document_id"]], "dry_run": True}
        published.check(f"{documents}/{deed}", await client.post(f"{documents}/{deed}", json=named))
    batch = {"items": [{"source_type": "text", "source": "x"}, {"source_type": "text"}]}
    published.check(f"{RAG}/ingest/batch", await client.post(f"{RAG}/ingest/batch", json=batch))
    preview = {"source_type": "text", "source": "The dome."}
    published.check(f"{RAG}/preview", await client.post(f"{RAG}/preview", json=preview))
    for _ in range(2):  # accepted, then refused because it is under way
        again = await client.post(f"{document}/reprocess")
        published.check(f"{documents}/{{document_id}}/reprocess", again)
    for _ in range(2):  # gone, then not found
        published.check(f"{documents}/{{document_id}}", await client.delete(document))
    published.check(f"{documents}/{{document_id}}", await client.get(document))

    declared = {
        described["operationId"]
        for path, methods in published.document["paths"].items()
        for described in methods.values()
        if {"health", "openapi", "rag"} & set(described["tags"])
        and not path.startswith(OTHER_ROOMS)
        and described["operationId"] != "get_docs"  # a page for people is no JSON
    }
    assert published.checked == declared


async def test_the_document_is_the_same_for_everybody(api: Api) -> None:
    """It is open, and names the scheme that everything else wants."""
    async with api.client() as client:
        answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    assert json.loads(answer.text)["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
