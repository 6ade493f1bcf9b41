"""The document of the real API is valid, complete, and refers to nothing that is not in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from server.app.application import TITLE, VERSION, operations
from server.openapi.document import document


@pytest.fixture(scope="module")
def published() -> Any:
    return json.loads(json.dumps(document(operations(), title=TITLE, version=VERSION)))


def values_of(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from ([node[key]] if key in node else [])
        for value in node.values():
            yield from values_of(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from values_of(value, key)


def test_has_the_shape_that_openapi_demands(published: Any) -> None:
    """Version, title, and for every operation an id, a summary and answers that say what they are."""
    assert published["openapi"] == "3.1.0"
    assert published["info"] == {"title": TITLE, "version": VERSION}
    for path, methods in published["paths"].items():
        assert path.startswith("/")
        for method, described in methods.items():
            assert method in {"get", "post", "put", "patch", "delete"}
            assert described["summary"].endswith(".")
            assert described["responses"].keys() - {"default"}
            assert all(response["description"] for response in described["responses"].values())
            in_path = {parameter["name"] for parameter in described["parameters"] if parameter["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_tag_is_explained(published: Any) -> None:
    """And each operation has one that is."""
    explained = {tag["name"] for tag in published["tags"] if tag["description"]}
    assert explained == {tag for tags in values_of(published["paths"], "tags") for tag in tags}


def test_what_can_be_changed_conditionally_tells_its_version(published: Any) -> None:
    """Where If-Match is read, the ETag to send in it comes with what is answered, and 412 may."""
    conditional = [
        (path, described)
        for path, methods in published["paths"].items()
        for described in methods.values()
        if any(parameter["name"] == "If-Match" for parameter in described["parameters"])
    ]
    assert conditional
    for path, described in conditional:
        assert "412" in described["responses"]
        reading = published["paths"][path].get("get", described)
        assert "ETag" in reading["responses"]["200"]["headers"]


def test_operation_ids_are_unique(published: Any) -> None:
    """Clients are generated from these names."""
    names = list(values_of(published["paths"], "operationId"))
    assert len(names) == len(set(names)) == len(operations())


def test_every_reference_has_its_schema(published: Any) -> None:
    """No reference points outside the document or at nothing."""
    known = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in published["components"][kind]}
    references = set(values_of(published, "$ref"))
    assert references
    assert references <= known


def test_every_schema_is_json_schema(published: Any) -> None:
    """OpenAPI 3.1 schemas are JSON Schema 2020-12."""
    for schema in published["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_only_these_operations_are_open_to_everybody(published: Any) -> None:
    """All others name the scope they need."""
    operations_by_path = [
        (path, described) for path, methods in published["paths"].items() for described in methods.values()
    ]
    assert {path for path, described in operations_by_path if not described["security"]} == {
        "/health",
        "/ready",
        "/status",
        "/docs",
        "/openapi.json",
        "/api/versions",
        "/.well-known/jwks.json",
        "/api/v1/auth/register",
        "/api/v1/auth/register/confirm",
        "/api/v1/auth/password/reset",
        "/api/v1/auth/password/reset/confirm",
        "/api/v1/auth/token",
        "/api/v1/auth/refresh",
        "/api/v1/webhooks/inbound/github",  # whoever signs the body
    }


def test_query_answer_has_the_fields_of_the_reference(published: Any) -> None:
    """results, total, query_time; content, score, metadata; what only some answers have is not promised."""
    schemas = published["components"]["schemas"]
    answer = schemas["QueryAnswer"]
    assert list(answer["properties"])[:3] == ["results", "total", "query_time"]
    assert answer["required"] == ["results", "total", "query_time", "index_version"]
    assert list(schemas["QueryResult"]["properties"]) == ["content", "score", "metadata"]


def test_all_that_changes_something_takes_an_idempotency_key(published: Any) -> None:
    """But for what checks or makes credentials: an answer that is kept for retries would keep them.

    And for receivers, whose senders name each delivery in their own way.
    """
    without = {
        described["operationId"]
        for methods in published["paths"].values()
        for method, described in methods.items()
        if method != "get" and "Idempotency-Key" not in {parameter["name"] for parameter in described["parameters"]}
    }
    assert without == {
        *("log_in", "refresh", "log_out", "register", "change_password"),
        *("confirm_registration", "ask_password_reset", "reset_password"),
        *("enrol_totp", "confirm_totp", "disable_totp"),
        "receive_github_event",
    }
