"""What others build against is committed, and says what the code says."""

import json

from server.cli import artefacts
from tests.architecture.tree import ROOT

CODES = {
    "AUTHENTICATION_FAILED",
    "AUTHORIZATION_FAILED",
    "VALIDATION_ERROR",
    "RESOURCE_NOT_FOUND",
    "RATE_LIMIT_EXCEEDED",
    "INTERNAL_ERROR",
    "METHOD_NOT_ALLOWED",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "REQUEST_TIMEOUT",
    "CONFLICT",
    "IDEMPOTENCY_IN_PROGRESS",
    "IDEMPOTENCY_KEY_REUSED",
    "MFA_REQUIRED",
    "MFA_INVALID",
    "EGRESS_BLOCKED",
    "LIMIT_EXCEEDED",
    "PAYMENT_FAILED",
    "SECRET_EXPIRED",
    "SERVICE_UNAVAILABLE",
}


def test_committed_artefacts_are_those_of_the_code() -> None:
    """Whoever changes the API runs `make artefacts`, and the diff shows what clients will see."""
    folder = ROOT / artefacts.FOLDER
    stale = [name for name, text in artefacts.render().items() if (folder / name).read_text("utf-8") != text]
    assert stale == []


def test_the_catalogue_has_every_code_of_the_contract_and_no_other() -> None:
    """Codes are what clients branch on: a new one is a decision, not an accident."""
    listed = json.loads(artefacts.render()["errors.json"])
    assert {entry["code"] for entry in listed} == CODES
    assert all(case["when"] for entry in listed for case in entry["cases"])
