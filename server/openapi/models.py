"""What every model of the API is: frozen, exact, and honest about what it does not know."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from sanic import Request

JSON = "application/json"
NDJSON = "application/x-ndjson"
FORM = "multipart/form-data"
PROBLEM = "application/problem+json"

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class RequestBody(BaseModel):
    """A body; unknown fields and values of another type are refused, never converted."""

    model_config = _STRICT
    media_type: ClassVar[str]
    named_schemas: ClassVar[Mapping[str, Any]] = {}
    """What schemas written by hand in it refer to, by the name under which it is to be published."""

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, given: Any) -> Any:
        # To JSON Schema, and to languages with one type of number, 81.0 is an integer.
        if not isinstance(given, dict):
            return given
        return {
            name: int(value) if isinstance(value, float) and value.is_integer() and cls._is_integer(name) else value
            for name, value in given.items()
        }

    @classmethod
    def _is_integer(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is not None and int in map(_bare, (field.annotation, *get_args(field.annotation)))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


class JsonBody(RequestBody):
    """A body sent as one JSON object."""

    media_type = JSON


class LinesBody(RequestBody):
    """A body sent as JSON texts, one a line. Its one field `items` has what each line is, or the error that it is."""

    media_type = NDJSON


class RawBody(RequestBody):
    """A body as it was sent, byte for byte: whoever signed it signed these. Read apart from all other kinds."""

    max_bytes: ClassVar[int]
    content: bytes

    @classmethod
    def admit(cls, request: "Request") -> None:
        """Raise the ApiError of a request that is refused whatever its body is, before that is read."""


class FormBody(RequestBody):
    """A body sent as multipart/form-data. Its parts are text or files, but for `json_parts`, which hold JSON."""

    media_type = FORM
    json_parts: ClassVar[frozenset[str]] = frozenset()


def _bounds(schema: dict[str, Any]) -> None:
    # The bounds of a number that is read from text stand outside of the number, where pydantic spells them its own way.
    for field in schema.get("properties", {}).values():
        for ours, published in (("ge", "minimum"), ("le", "maximum")):
            if ours in field:
                field[published] = field.pop(ours)


class QueryString(BaseModel):
    """The parameters behind the question mark. All values arrive as text, so each field says how it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_bounds)


class Answer(BaseModel):
    """A response body. One that is not JSON is text, and has no fields."""

    model_config = ConfigDict(frozen=True)
    media_type: ClassVar[str] = JSON
    tagged: ClassVar[bool] = False  # whether it comes with an ETag; those with a `version` do anyhow

    @cached_property
    def written(self) -> bytes:
        """The answer as it is sent; written once, since the same one may answer several requests."""
        return self.__pydantic_serializer__.to_json(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("written", None)  # a copy is another answer
        return copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file part of a form. `name` is a label that the client chose."""

    name: str
    content: bytes


# The largest whole number that every reader of JSON keeps as it is (RFC 8259, section 6).
LARGEST_NUMBER = 2**53 - 1
_MOST_DIGITS = len(str(LARGEST_NUMBER))


def _whole_number(value: object) -> object:
    # int() and pydantic also read spaces, underscores and the digits of other scripts; JSON has none of these.
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
            raise ValueError("Input should be a whole number in digits 0-9")
        return int(value)
    return value


WholeNumber = Annotated[int, BeforeValidator(_whole_number)]


class Violation(Answer):
    """One fault of a request. `pointer` is a JSON pointer (RFC 6901) to the field; empty means the whole body."""

    pointer: str
    message: str


class ErrorBody(Answer):
    code: str = Field(examples=["VALIDATION_ERROR"])
    message: str
    details: dict[str, Any] = Field(description="What the code is about; `violations` for VALIDATION_ERROR.")
    request_id: str


class ErrorEnvelope(Answer):
    """The answer to every request that failed, the framework's own failures included."""

    error: ErrorBody


class Problem(Answer):
    """The same as problem details (RFC 9457), for those who accept `application/problem+json`."""

    type: str = Field(description="Where the code is explained.", examples=["/docs#VALIDATION_ERROR"])
    title: str
    status: int
    detail: str
    instance: str = Field(examples=["urn:codexos:request:01a20557-a025-719e-abe7-1643716b6f27"])
    code: str
    details: dict[str, Any]
    request_id: str
