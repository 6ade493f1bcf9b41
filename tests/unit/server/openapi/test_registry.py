"""A route's contract is read off its handler; nothing is said twice."""

from typing import Annotated

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    Conflict,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    PayloadTooLarge,
    RateLimitExceeded,
    ServiceUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from server.openapi.answers import answered
from server.openapi.document import document
from server.openapi.models import FORM, JSON, Answer, FormBody, JsonBody, QueryString, WholeNumber
from server.openapi.registry import InPath, Operation, Operations, RequestHeader, Requires


class Shelf(QueryString):
    row: WholeNumber
    column: WholeNumber = 1


class Book(JsonBody):
    title: str


class ScannedBook(FormBody):
    json_parts = frozenset({"pages"})
    title: str
    pages: int


class Lent(Answer):
    until: str


def registered() -> Operation:
    library = Operations("library", "/api/v1/library")

    @library.operation(
        "POST",
        "/shelves/{shelf_id}/books",
        answers={201: Lent},
        errors=[Conflict],
        headers=[RequestHeader(name="Prefer", description="How fast.")],
    )
    async def lend(
        request: Request,
        reader: Annotated[str, Requires("library:borrow")],
        shelf_id: str,
        query: Shelf,
        body: Book | ScannedBook,
    ) -> HTTPResponse:
        """Lend a book.

        It must come back.
        """
        return answered(Lent(until="tomorrow"), status=201)

    [operation] = library
    return operation


def test_signature_says_who_what_and_where() -> None:
    """Scope, bodies by media type, query and path parameters come from the annotations."""
    operation = registered()
    assert (operation.caller, operation.scope) == ("reader", "library:borrow")
    assert operation.bodies == {JSON: Book, FORM: ScannedBook}
    assert (operation.query, operation.path_parameters) == (Shelf, ("shelf_id",))
    assert operation.path == "/api/v1/library/shelves/{shelf_id}/books"
    assert (operation.summary, operation.description) == ("Lend a book.", "It must come back.")


def test_signature_implies_errors() -> None:
    """Whoever needs a scope can lack it; whoever takes a body can get a wrong one."""
    assert set(registered().all_errors) == {
        ValidationFailed,
        AuthenticationFailed,
        AuthorizationFailed,
        Conflict,
        IdempotencyInProgress,
        IdempotencyKeyReused,
        PayloadTooLarge,
        RateLimitExceeded,
        ServiceUnavailable,
        UnsupportedMediaType,
    }


def test_document_tells_all_of_it() -> None:
    """The published operation has every parameter, body, answer and error of the registered one."""
    published = document([registered()], title="Library", version="1")
    described = published["paths"]["/api/v1/library/shelves/{shelf_id}/books"]["post"]
    assert described["security"] == [{"apiKey": ["library:borrow"]}, {"accessToken": ["library:borrow"]}]
    places = [(parameter["name"], parameter["in"], parameter.get("required")) for parameter in described["parameters"]]
    assert places == [
        ("shelf_id", "path", True),
        ("row", "query", True),
        ("column", "query", False),
        ("Prefer", "header", None),
        ("X-Request-ID", "header", None),
        ("X-Tenant-ID", "header", None),
        ("Idempotency-Key", "header", False),
    ]
    assert described["requestBody"]["content"] == {
        JSON: {"schema": {"$ref": "#/components/schemas/Book"}},
        FORM: {
            "schema": {"$ref": "#/components/schemas/ScannedBook"},
            "encoding": {"pages": {"contentType": "application/json"}},
        },
    }
    assert list(described["responses"]) == [
        *("201", "400", "401", "403", "409", "413", "415", "422", "429", "503"),
        "default",
    ]
    assert described["responses"]["409"]["description"].count("`IDEMPOTENCY_IN_PROGRESS`: ") == 1
    assert described["responses"]["201"]["headers"].keys() >= {"X-Request-ID", "RateLimit", "Idempotent-Replayed"}
    assert described["responses"]["429"]["headers"].keys() >= {"Retry-After"}
    assert {"Book", "ScannedBook", "Lent", "ErrorEnvelope", "ErrorBody"} <= published["components"]["schemas"].keys()


def test_a_parameter_that_is_no_id_is_published_as_what_it_is() -> None:
    """With its pattern and length; its route takes slashes, and a wrong one is 400."""
    shelves = Operations("library", "/api/v1/library", closed=True)
    place = InPath(pattern="[a-z/]+", longest=9, message="No.")

    @shelves.operation("GET", "/places/{place}/books/{book_id}", answers={200: Lent})
    async def look(request: Request, place: Annotated[str, place], book_id: str) -> HTTPResponse:
        """Look."""
        return answered(Lent(until="tomorrow"))

    [operation] = shelves
    assert operation.route == "/api/v1/library/places/<place:path>/books/<book_id>"
    assert (operation.closed, ValidationFailed in operation.all_errors) == (True, True)
    described = document([operation], title="Library", version="1")["paths"][operation.path]["get"]
    assert [parameter["schema"] for parameter in described["parameters"][:2]] == [
        {"type": "string", "pattern": "^[a-z/]+$", "maxLength": 9},
        {"type": "string"},
    ]
