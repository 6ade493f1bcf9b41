"""Every error of the process becomes one envelope. What is not ours to show becomes one fixed sentence."""

import json
import re
from asyncio import CancelledError
from typing import cast

from sanic import Request, exceptions
from sanic.handlers import ErrorHandler
from sanic.http import Http
from sanic.response import HTTPResponse

from core.errors import (
    ApiError,
    AuthenticationFailed,
    IdempotencyInProgress,
    IngestFailed,
    MfaInvalid,
    MfaRequired,
    PayloadTooLarge,
    RateLimitExceeded,
    ServiceUnavailable,
    ValidationFailed,
)
from core.ids import new_id
from core.log import get_logger
from server.openapi.models import PROBLEM

log = get_logger()

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)


class RouteNotFound(ApiError):
    """Nothing answers at this path."""

    status, code = 404, "RESOURCE_NOT_FOUND"


class VersionEnded(ApiError):
    """This version of the API has ended; `details.successor` names the path that answers instead."""

    status, code = 410, "RESOURCE_NOT_FOUND"


class MethodNotAllowed(ApiError):
    """The path answers other methods; the Allow header names them."""

    status, code = 405, "METHOD_NOT_ALLOWED"


class RequestTimedOut(ApiError):
    """The request did not arrive in time."""

    status, code = 408, "REQUEST_TIMEOUT"


class MalformedHttp(exceptions.BadRequest):
    """Bytes that are not HTTP as two readers would both understand it. A kind of the framework's own error, because
    the framework ends connections on that."""


class UriTooLong(ApiError):
    """The request line is longer than the server reads."""

    status, code = 414, "PAYLOAD_TOO_LARGE"


class ExpectationNotMet(ApiError):
    """The Expect header asks for something other than 100-continue."""

    status, code = 417, "VALIDATION_ERROR"


class HeadersTooLarge(ApiError):
    """The headers are longer than the server reads."""

    status, code = 431, "PAYLOAD_TOO_LARGE"


class InternalError(ApiError):
    """Something of ours broke; the log knows what, under the request id."""

    status, code = 500, "INTERNAL_ERROR"


def request_id_of(request: Request) -> str:
    """Return the id the hall gave the request; one that never reached the hall gets it here."""
    request_id: str | None = getattr(request.ctx, "request_id", None)
    if request_id is None:
        request_id = request.ctx.request_id = new_id()
    return request_id


class EnvelopeErrorHandler(ErrorHandler):
    """Replaces the framework's error pages, for all exceptions and at every stage of a request."""

    def response(self, request: Request, exception: BaseException) -> HTTPResponse:
        return error_response(request, as_api_error(request, exception), exception)


def error_response(request: Request, error: ApiError, exception: BaseException | None = None) -> HTTPResponse:
    """Return the answer that tells of `error`; `exception` is the framework's, where it was one."""
    write, content_type = (problem, PROBLEM) if wants_problem(request) else (envelope, "application/json")
    return HTTPResponse(
        body=write(error, request_id_of(request)),
        status=error.status,
        headers={"vary": "Accept", **_headers(error, exception)},
        content_type=content_type,
    )


def wants_problem(request: Request) -> bool:
    """Whether the Accept header names problem details, and not JSON with more weight."""
    weights = {"application/json": 0.0, PROBLEM: 0.0}
    for entry in ",".join(request.headers.getall("accept", [])).split(","):
        media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media_type in weights:
            weights[media_type] = max(weights[media_type], _weight(parameters))
    return weights[PROBLEM] > 0 and weights[PROBLEM] >= weights["application/json"]


def _weight(parameters: list[str]) -> float:
    given = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    return float(given) if _WEIGHT.fullmatch(given) else 0.0


def envelope(error: ApiError, request_id: str) -> bytes:
    """Return the body. Text that came from the client may hold lone surrogates: ASCII escapes carry them."""
    body = {"code": error.code, "message": error.message, "details": error.details, "request_id": request_id}
    return json.dumps({"error": body}, separators=(",", ":")).encode()


def problem(error: ApiError, request_id: str) -> bytes:
    """Return the body as problem details (RFC 9457), with the members of the envelope beside its own."""
    body = {
        "type": f"/docs#{error.code}",
        "title": (type(error).__doc__ or "").strip().partition("\n")[0],
        "status": error.status,
        "detail": error.message,
        "instance": f"urn:codexos:request:{request_id}",
        "code": error.code,
        "details": error.details,
        "request_id": request_id,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def as_api_error(request: Request, exception: BaseException) -> ApiError:
    """Return what the client is told about `exception`."""
    if isinstance(exception, ApiError):
        return exception
    if isinstance(exception, IngestFailed):  # a recipe that a query uses too, the embedder for one
        log.warning("request.part_failed", code=exception.code, error=exception.message)
        return ServiceUnavailable("A part this request needs is not answering. Try again in a moment.")
    if isinstance(exception, CancelledError | exceptions.RequestCancelled):
        return ServiceUnavailable("The server stopped before the request was finished. Try again.")
    if isinstance(exception, exceptions.SanicException):
        known = _framework_error(request, exception)
        if known is not None:
            return known
    log.error("request.failed", method=request.method, path=request.path, exc_info=exception)
    return InternalError("Something went wrong on our side. The request id helps us find it.")


def _framework_error(request: Request, exception: exceptions.SanicException) -> ApiError | None:
    match exception:
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed(f"This path does not answer {request.method}.")
        case exceptions.NotFound():
            return RouteNotFound("Nothing answers at this path.")
        case exceptions.PayloadTooLarge():
            return _too_large(request)
        case exceptions.RequestTimeout():
            return RequestTimedOut("The request did not arrive in time.")
        case exceptions.ServiceUnavailable():
            return ServiceUnavailable("The request took longer than the server allows. Try again later.")
        case exceptions.ExpectationFailed():
            return ExpectationNotMet("The only expectation answered here is 100-continue.")
        case MalformedHttp():
            violations = [{"pointer": "", "message": str(exception)}]
            return ValidationFailed("The request is not well-formed HTTP.", violations=violations)
        case exceptions.BadRequest():
            return ValidationFailed("The request is not well-formed HTTP.", violations=[])
    return None


def _too_large(request: Request) -> ApiError:
    if request.method != "NONE":  # the framework's mark for a request whose head it could not read
        return PayloadTooLarge("The request body is longer than the server reads.")
    stream = cast(Http, request.stream)
    if stream.recv_buffer.find(b"\r\n", 0, stream.HEADER_MAX_SIZE) < 0:
        return UriTooLong("The request line is longer than the server reads.")
    return HeadersTooLarge("The request headers are longer than the server reads.")


def _headers(error: ApiError, exception: BaseException | None) -> dict[str, str]:
    if isinstance(error, MethodNotAllowed) and isinstance(exception, exceptions.SanicException):
        return {"allow": str(exception.headers.get("Allow", ""))}
    if isinstance(error, RateLimitExceeded):
        return {"retry-after": str(error.retry_after_seconds)}
    if isinstance(error, IdempotencyInProgress):
        return {"retry-after": "1"}
    if isinstance(error, AuthenticationFailed | MfaRequired | MfaInvalid):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, ServiceUnavailable):
        return {"retry-after": str(error.retry_after_seconds)}
    return {}
