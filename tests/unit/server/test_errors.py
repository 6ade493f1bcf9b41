"""Whatever goes wrong, the envelope is the same, and tells nothing that is not the client's business."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from sanic import Request, exceptions
from sanic.compat import Header

from core.errors import ApiError, EmbeddingFailed, ResourceNotFound, ValidationFailed
from server.errors import EnvelopeErrorHandler, as_api_error, envelope
from server.openapi.models import ErrorEnvelope

SCHEMA = ErrorEnvelope.model_json_schema(mode="serialization")


def a_request(method: str = "GET") -> Request:
    """Return as much of a request as an error handler looks at."""
    ctx = SimpleNamespace(request_id="r-1")
    return cast(Request, SimpleNamespace(ctx=ctx, method=method, path="/x", stream=None, headers=Header()))


def answer_to(exception: BaseException) -> tuple[int, dict[str, Any], dict[str, str]]:
    response = EnvelopeErrorHandler().response(a_request(), exception)
    assert response.body is not None
    body = json.loads(response.body)
    validate(body, SCHEMA)
    return response.status, body["error"], dict(response.headers)


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (ValidationFailed("No.", violations=[]), 400, "VALIDATION_ERROR"),
        (ResourceNotFound("document", "1"), 404, "RESOURCE_NOT_FOUND"),
        (exceptions.NotFound("secret"), 404, "RESOURCE_NOT_FOUND"),
        (exceptions.MethodNotAllowed("secret", "PUT", ("GET",)), 405, "METHOD_NOT_ALLOWED"),
        (exceptions.PayloadTooLarge("secret"), 413, "PAYLOAD_TOO_LARGE"),
        (exceptions.RequestTimeout("secret"), 408, "REQUEST_TIMEOUT"),
        (exceptions.ServiceUnavailable("secret"), 503, "SERVICE_UNAVAILABLE"),
        (exceptions.ExpectationFailed("secret"), 417, "VALIDATION_ERROR"),
        (exceptions.BadRequest("secret"), 400, "VALIDATION_ERROR"),
        (exceptions.ServerError("secret"), 500, "INTERNAL_ERROR"),
        (asyncio.CancelledError("secret"), 503, "SERVICE_UNAVAILABLE"),
        (exceptions.RequestCancelled("secret"), 503, "SERVICE_UNAVAILABLE"),
        (EmbeddingFailed("secret"), 503, "SERVICE_UNAVAILABLE"),
        (RuntimeError("secret: SELECT key FROM api_keys"), 500, "INTERNAL_ERROR"),
        (FileNotFoundError(2, "secret", "/home/secret"), 500, "INTERNAL_ERROR"),
    ],
)
def test_every_exception_becomes_the_envelope(exception: BaseException, status: int, code: str) -> None:
    """Status and code by its kind; of what the exception says only our own sentences are passed on."""
    answered, error, _ = answer_to(exception)
    assert (answered, error["code"], error["request_id"]) == (status, code, "r-1")
    assert "secret" not in json.dumps(error)


def test_headers_that_belong_to_a_status_are_there() -> None:
    """405 says what is allowed, 401 what is wanted, 503 when to come back."""
    assert answer_to(exceptions.MethodNotAllowed("", "PUT", ("GET", "POST")))[2]["allow"] == "GET, POST"
    from core.errors import AuthenticationFailed, ServiceUnavailable

    assert answer_to(AuthenticationFailed("No."))[2]["www-authenticate"] == "Bearer"
    assert answer_to(ServiceUnavailable("Later."))[2]["retry-after"] == "1"


@given(st.text(st.characters(), max_size=50))
def test_any_text_of_the_client_can_be_echoed(text: str) -> None:
    """Control characters and lone surrogates travel as escapes, and come back as they were."""
    body = envelope(ResourceNotFound("document", text), "r-1")
    assert body.isascii()
    assert json.loads(body)["error"]["details"]["resource_id"] == text


def test_an_api_error_is_not_wrapped() -> None:
    """What was raised on purpose reaches the client as it is."""
    error: ApiError = ResourceNotFound("document", "1")
    assert as_api_error(a_request(), error) is error


@pytest.mark.parametrize("exception", [RuntimeError("secret: SELECT 1"), FileNotFoundError(2, "x", "/secret")])
def test_problem_details_tell_no_more_than_the_envelope(exception: Exception) -> None:
    """Another form, not another answer: no stack trace, statement or path in it either."""
    request = a_request()
    request.headers["accept"] = "application/problem+json"
    response = EnvelopeErrorHandler().response(request, exception)
    assert response.content_type == "application/problem+json"
    body = json.loads(response.body or b"")
    assert (body["status"], body["code"], body["request_id"]) == (500, "INTERNAL_ERROR", "r-1")
    assert "secret" not in json.dumps(body)
    assert "Traceback" not in json.dumps(body)
