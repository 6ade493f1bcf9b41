"""The error tree: status and code on the class, a sentence for a person on the instance.

Two families. An `ApiError` answers a request. An `IngestFailed` ends a job: it is stored with the job and
shown by `GET /rag/jobs/{id}`. Both say what to do; neither carries a path, a query or a stack trace.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class CodexError(Exception):
    """Anything this platform says no to on purpose."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details


class ApiError(CodexError):
    """An error with an HTTP status; the door turns it into the envelope."""

    status: ClassVar[int] = 500


class ValidationFailed(ApiError):
    """The request is malformed. `details.violations` lists every fault as {pointer, message}."""

    status, code = 400, "VALIDATION_ERROR"


class AuthenticationFailed(ApiError):
    """No credential, or one that is not valid."""

    status, code = 401, "AUTHENTICATION_FAILED"


class AuthorizationFailed(ApiError):
    """The credential is valid and may not do this."""

    status, code = 403, "AUTHORIZATION_FAILED"


class ResourceNotFound(ApiError):
    """No such thing in this tenant; an unknown id and another tenant's id are answered alike."""

    status, code = 404, "RESOURCE_NOT_FOUND"

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(
            "The requested resource was not found",
            resource_type=resource_type,
            resource_id=resource_id,
        )


class Conflict(ApiError):
    """The request is well-formed and the state of the resource forbids it."""

    status, code = 409, "CONFLICT"


class PreconditionFailed(ApiError):
    """If-Match names a version that is no longer the current one: read the resource again, then decide."""

    status, code = 412, "CONFLICT"


class IdempotencyInProgress(ApiError):
    """The first request with this Idempotency-Key is still being worked on."""

    status, code = 409, "IDEMPOTENCY_IN_PROGRESS"


class IdempotencyKeyReused(ApiError):
    """The Idempotency-Key was used for another request: a key stands for one request and its retries."""

    status, code = 422, "IDEMPOTENCY_KEY_REUSED"


class RateLimitExceeded(ApiError):
    """Too many requests; Retry-After says when the next one is welcome."""

    status, code = 429, "RATE_LIMIT_EXCEEDED"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class MfaRequired(ApiError):
    """A second factor is needed: send the code of the authenticator application."""

    status, code = 401, "MFA_REQUIRED"


class MfaInvalid(ApiError):
    """The code of the second factor is wrong, too old, or was used before."""

    status, code = 401, "MFA_INVALID"


class EgressBlocked(ApiError):
    """The address is one this platform does not connect to on behalf of a user."""

    status, code = 403, "EGRESS_BLOCKED"


class LimitExceeded(ApiError):
    """A quota of the tenant's plan is used up: free some of it, or change the plan."""

    status, code = 403, "LIMIT_EXCEEDED"


class PaymentFailed(ApiError):
    """The payment was declined; nothing was bought."""

    status, code = 402, "PAYMENT_FAILED"


class SecretExpired(ApiError):
    """The secret is past its date and is not given out any more: store a new version."""

    status, code = 410, "SECRET_EXPIRED"


class IndexVersionGone(ApiError):
    """The version of the index is not kept any more: ask the newest, or tag a version that is to stay."""

    status, code = 410, "RESOURCE_NOT_FOUND"


class PayloadTooLarge(ApiError):
    """The body is longer than the route accepts."""

    status, code = 413, "PAYLOAD_TOO_LARGE"


class UnsupportedMediaType(ApiError):
    """The body is of a type the route does not read."""

    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"


class ServiceUnavailable(ApiError):
    """A part this request needs is not answering; trying again later may work."""

    status, code = 503, "SERVICE_UNAVAILABLE"
    retry_after_seconds: ClassVar[int] = 1


class IngestFailed(CodexError):
    """A document that cannot become chunks. `retryable` says whether trying again unchanged may help."""

    code = "INGEST_FAILED"
    retryable: ClassVar[bool] = False


class SourceBraked(IngestFailed):
    """More documents have vanished from the source than it may lose in one crawl. Nothing was deleted."""

    code = "SOURCE_BRAKED"


class EmptyDocument(IngestFailed):
    """The document has no bytes, or no text in them."""

    code = "EMPTY_DOCUMENT"


class UnsupportedFormat(IngestFailed):
    """The bytes are of a format no parser here reads."""

    code = "UNSUPPORTED_FORMAT"


class DocumentEncrypted(IngestFailed):
    """The document is protected by a password."""

    code = "DOCUMENT_ENCRYPTED"


class DocumentUnreadable(IngestFailed):
    """The bytes are damaged, truncated or not what they claim to be."""

    code = "DOCUMENT_UNREADABLE"


class DocumentTooLarge(IngestFailed):
    """Unpacked or parsed, the document exceeds a limit (a bomb looks like this)."""

    code = "DOCUMENT_TOO_LARGE"


class ParsingTimedOut(IngestFailed):
    """The parser did not finish within its wall clock."""

    code = "PARSING_TIMED_OUT"


class AddressBlocked(IngestFailed):
    """The address is one this platform does not connect to on behalf of a user, or leads to one."""

    code = "EGRESS_BLOCKED"


class SourceNotFound(IngestFailed):
    """There is nothing at the address any more, or never was."""

    code = "SOURCE_NOT_FOUND"


class SourceDenied(IngestFailed):
    """The source wants a login, or refuses."""

    code = "SOURCE_DENIED"


class SourceUnavailable(IngestFailed):
    """The source cannot be reached or cannot answer now."""

    code = "SOURCE_UNAVAILABLE"
    retryable = True


class SourceTimedOut(IngestFailed):
    """The source did not answer in time."""

    code = "SOURCE_TIMED_OUT"
    retryable = True


class EmbeddingFailed(IngestFailed):
    """The embedder could not answer."""

    code = "EMBEDDING_FAILED"
    retryable = True


class IndexingFailed(IngestFailed):
    """The index did not take what the plan said it would take."""

    code = "INDEXING_FAILED"
    retryable = True


class LeaseLost(CodexError):
    """Someone else took over this work; whoever held it must stop without a trace."""

    code = "LEASE_LOST"


class AttemptsExhausted(IngestFailed):
    """The job was taken many times and never finished: whoever works on it dies."""

    code = "ATTEMPTS_EXHAUSTED"


class JobCancelled(IngestFailed):
    """The job was called off before anybody began it."""

    code = "JOB_CANCELLED"


class InternalFailure(IngestFailed):
    """Something of ours broke. The log knows what; the sentence does not say."""

    code = "INTERNAL_ERROR"
    retryable = True
