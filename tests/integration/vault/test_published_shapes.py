"""The fake Vault is held against what HashiCorp publishes: what fits nothing there fails the test it happens in."""

from typing import Any

import hvac
import pytest
from hvac.exceptions import InvalidRequest

from tests.fakes.vault_server import MOUNT, ROOT_TOKEN, FakeVault, serving
from tests.fakes.vault_shapes import PUBLISHED, answer_faults, request_faults

KV = f"{MOUNT}/data/tenant/key"
UNPUBLISHED: list[tuple[str, str, dict[str, Any], Any]] = [
    ("PATCH", f"{MOUNT}/destroy/tenant/key", {}, {"versions": [1]}),
    ("GET", "sys/seal-statuses", {}, None),
    ("GET", KV, {"versions": ["1"]}, None),
    ("POST", KV, {}, {"value": "s"}),
    ("POST", KV, {}, {"data": "s"}),
    ("POST", KV, {}, ["data"]),
    ("POST", f"{MOUNT}/metadata/tenant/key", {}, {"max_versions": "10"}),
    ("POST", f"{MOUNT}/metadata/tenant/key", {}, {"max_versions": True}),
    ("POST", "auth/approle/login", {}, {"role_id": "r", "jwt": "j"}),
    ("POST", "auth/token/renew-self", {}, {"increment": 3600}),
    ("POST", "transit/encrypt/key", {}, {"ciphertext": "vault:v1:"}),
    ("POST", "transit/encrypt/key/more", {}, {"plaintext": ""}),
]
_VERSION = {"version": 1, "created_time": "2026-11-23T00:00:00Z", "destroyed": False, "deletion_time": ""}
UNPUBLISHED_ANSWERS: list[tuple[str, str, int, Any]] = [
    ("POST", KV, 204, None),
    ("POST", KV, 200, {"data": _VERSION | {"version": "1"}}),
    ("POST", KV, 200, {"data": _VERSION | {"number": 1}}),
    ("POST", KV, 200, _VERSION["version"]),
    ("GET", KV, 404, {"error": "not found"}),
    ("GET", KV, 418, {"errors": []}),
    ("GET", "sys/seal-status", 200, {"sealed": "false"}),
    ("DELETE", f"{MOUNT}/metadata/tenant/key", 204, {}),
]


@pytest.mark.parametrize(("method", "path", "query", "body"), UNPUBLISHED)
def test_a_request_that_is_not_published_is_found(method: str, path: str, query: dict[str, Any], body: Any) -> None:
    """Its path, method, parameter, field or type: one fault, which says where."""
    [fault] = request_faults(method, path, query, body)
    assert f"{method} {path}" in fault


@pytest.mark.parametrize(("method", "path", "status", "answer"), UNPUBLISHED_ANSWERS)
def test_an_answer_that_is_not_published_is_found(method: str, path: str, status: int, answer: Any) -> None:
    """Its status, a field or its type."""
    assert len(answer_faults(method, path, status, answer)) == 1


def test_what_is_published_has_no_fault() -> None:
    """A control: every operation without a body, PUT for POST, and an answer with every field it may have."""
    for (method, template), operation in PUBLISHED.items():
        path = template.format(mount=MOUNT, name="name", path="tenant/a/key")
        assert request_faults(method, path, {}, None) == []
        if operation.answer is not None:
            fields = {name: kind() for name, kind in operation.answer.items()}
            answer = {"data": fields} if operation.wrapped else fields
            assert answer_faults(method, path, operation.status, answer) == []
    assert request_faults("PUT", KV, {}, {"data": {}, "options": None}) == []
    assert answer_faults("PUT", KV, 200, {"data": _VERSION}) == []


def test_a_client_that_asks_what_is_not_published_fails_its_test() -> None:
    """Also where it took the refusal without a word."""
    fails = pytest.raises(AssertionError, match="publishes")
    with fails, serving(FakeVault()) as vault, pytest.raises(InvalidRequest):
        hvac.Client(url=vault.url, token=ROOT_TOKEN).adapter.post(f"/v1/{KV}", json={"value": "s"})


def test_a_fake_that_answers_what_is_not_published_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake may not be kinder, or another, than the server it stands for."""
    monkeypatch.setattr(FakeVault, "answer", lambda *_: {"data": {"data": {}, "version": 1}})
    with pytest.raises(AssertionError, match="publishes"), serving(FakeVault()) as vault:
        hvac.Client(url=vault.url, token=ROOT_TOKEN).secrets.kv.v2.read_secret_version(
            "a", mount_point=MOUNT, raise_on_deleted_version=True
        )
