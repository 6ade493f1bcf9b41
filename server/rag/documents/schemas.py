"""What the room reads and answers. Field names are those of the API reference."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from pipelines.chunking.limits import MIN_CHUNK_TOKENS
from pipelines.document import ChunkingConfig, ChunkingStrategy
from server.openapi.models import FormBody, JsonBody, QueryString, RequestBody, Upload, WholeNumber
from server.openapi.pagination import PageQuery
from server.rag.documents.addresses import ADDRESSES, branches, checked_address, is_address
from server.rag.documents.metadata import check_metadata
from server.rag.documents.published import METADATA

DEFAULT_COLLECTION = "default"
SOURCE_TYPES = ("file", "text", *ADDRESSES)
# What the local embedder reads of one text; a job's snapshot is lowered to the window of whichever works on it.
MAX_CHUNK_TOKENS = 254
# PostgreSQL refuses index entries of more than about 2,700 bytes.
_EXTERNAL_ID_BYTES = 1_000


def _short(value: str) -> str:
    if len(value.encode()) > _EXTERNAL_ID_BYTES:
        raise ValueError(f"The external id should have at most {_EXTERNAL_ID_BYTES} bytes")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("The text is empty")
    return value


def _available(value: str) -> str:
    if value not in SOURCE_TYPES:
        raise ValueError("Input should be 'file', 'text', 'url' or 'github'")
    return value


def _no_file(value: str) -> str:
    if value == "file":
        raise ValueError("A file is sent as multipart/form-data, in a part named source or file")
    return value


Text = Annotated[str, AfterValidator(_not_blank), Field(json_schema_extra={"pattern": r"\S"})]
SourceType = Annotated[
    str,
    AfterValidator(_available),
    Field(json_schema_extra={"enum": list(SOURCE_TYPES)}, description="file, text, or what kind of address it is."),
]
TextSourceType = Annotated[
    str,
    AfterValidator(_available),
    AfterValidator(_no_file),
    Field(
        json_schema_extra={"enum": ["text", *ADDRESSES]},
        description="text, or what kind of address it is; a file is sent as a form.",
    ),
]
Collection = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
ExternalId = Annotated[str, StringConstraints(min_length=1), AfterValidator(_short)]
# A part with a filename arrives as an Upload, one without as text; a form cannot say so in advance.
_FILE_SCHEMA: dict[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1}
FilePart = Annotated[Upload | str, PlainValidator(lambda value: value), WithJsonSchema(_FILE_SCHEMA)]
Metadata = Annotated[dict[str, Any], AfterValidator(check_metadata), WithJsonSchema(METADATA)]


def _never_null(schema: dict[str, Any]) -> None:
    """Publish a field that may be left out, but not be null."""
    [given] = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
    schema.update(given)
    schema.pop("default", None)


Strategy = Literal["recursive", "semantic", "fixed", "structure"]
Status = Literal["queued", "processing", "indexed", "failed", "deleted"]


class _Ingest(RequestBody):
    source_type: SourceType
    metadata: Metadata = Field(default={}, description="Found again in answers, and by filters.")
    chunking_strategy: Strategy = "recursive"
    external_id: ExternalId | None = Field(
        None, description="Your own name for the document; posting it again makes a new revision."
    )
    collection: Collection = DEFAULT_COLLECTION
    chunk_tokens: int | None = Field(
        None, ge=MIN_CHUNK_TOKENS, le=MAX_CHUNK_TOKENS, description="Longest chunk, in the embedder's tokens."
    )
    overlap_tokens: int | None = Field(None, ge=0, lt=MAX_CHUNK_TOKENS, description="Tokens that neighbours share.")

    @field_validator("overlap_tokens")
    @classmethod
    def _overlap_leaves_room(cls, value: int | None, info: ValidationInfo) -> int | None:
        chunk_tokens = info.data.get("chunk_tokens") or ChunkingConfig().chunk_tokens
        if value is not None and value >= chunk_tokens:
            raise ValueError(f"The overlap should be smaller than the chunk of {chunk_tokens} tokens")
        return value

    @property
    def chunking(self) -> ChunkingConfig:
        """The snapshot that travels with the job."""
        defaults = ChunkingConfig()
        chunk_tokens = defaults.chunk_tokens if self.chunk_tokens is None else self.chunk_tokens
        usual_overlap = min(defaults.overlap_tokens, chunk_tokens // 2)
        return ChunkingConfig(
            strategy=ChunkingStrategy(self.chunking_strategy),
            chunk_tokens=chunk_tokens,
            overlap_tokens=usual_overlap if self.overlap_tokens is None else self.overlap_tokens,
        )

    @property
    def identity(self) -> str | None:
        """What the document is known by: what is posted from the same address again is its next revision."""
        return self.external_id or (self.label if is_address(self.source_type) else None)

    @property
    def label(self) -> str:
        """What answers call it."""
        raise NotImplementedError

    def _text_label(self) -> str:
        """Return what answers call a text: its own `source` in the metadata, else its external id."""
        named = self.metadata.get("source")
        return named if isinstance(named, str) and named.strip() else self.external_id or "text"


def _text_or_address(schema: dict[str, Any]) -> None:
    """Publish what `source` is beside each source type."""
    text = {"properties": {"source_type": {"const": "text"}, "source": {"pattern": r"\S"}}}
    schema["allOf"] = [
        {
            "if": {"properties": {"source_type": branch["properties"]["source_type"]}, "required": ["source_type"]},
            "then": {"properties": {"source": branch["properties"]["source"]}},
        }
        for branch in (text, *branches())
    ]


class IngestText(_Ingest, JsonBody):
    """A text, or an address to fetch the document from, in JSON."""

    model_config = ConfigDict(json_schema_extra=_text_or_address)

    source_type: TextSourceType
    source: str = Field(description="The text itself, or the address.")

    @field_validator("source")
    @classmethod
    def _suits_its_type(cls, value: str, info: ValidationInfo) -> str:
        source_type = info.data.get("source_type", "")
        return checked_address(source_type, value) if is_address(source_type) else _not_blank(value)

    @property
    def label(self) -> str:
        return self.source if is_address(self.source_type) else self._text_label()

    @property
    def content(self) -> bytes | None:
        """The bytes; None where they are to be fetched."""
        return None if is_address(self.source_type) else self.source.encode()


def _file_or_text(schema: dict[str, Any]) -> None:
    """Publish what the validators below hold a form to, as far as a schema can."""
    # A part with a filename may be called source as well; a schema has one type for one name.
    described = "The text, the address, or the file."
    schema["properties"]["source"] = {"type": "string", "pattern": r"\S", "description": described}
    schema["properties"]["file"] = _FILE_SCHEMA | {"description": "The file."}
    schema["oneOf"] = [
        {"properties": {"source_type": {"const": "text"}, "file": False}, "required": ["source"]},
        {"properties": {"source_type": {"const": "file"}, "source": False}, "required": ["file"]},
        *({**branch, "properties": {**branch["properties"], "file": False}} for branch in branches()),
    ]


class IngestForm(_Ingest, FormBody):
    """A file, a text or an address as a form. `metadata` and the numbers are JSON."""

    model_config = ConfigDict(json_schema_extra=_file_or_text)
    json_parts: ClassVar[frozenset[str]] = frozenset({"metadata", "chunk_tokens", "overlap_tokens"})

    source: FilePart | None = Field(None, description="The file, the text or the address.")
    file: FilePart | None = Field(
        None, description="Another name for the part that holds the file.", validate_default=True
    )

    @field_validator("source")
    @classmethod
    def _source_suits_its_type(cls, value: Upload | str | None, info: ValidationInfo) -> Upload | str | None:
        source_type = info.data.get("source_type")
        if source_type == "file" or source_type is None:
            return _checked_file(value)
        if isinstance(value, Upload):
            raise ValueError("A text or address is sent as a part without a filename; a file has source_type file")
        if value is None:
            return None
        return checked_address(source_type, value) if is_address(source_type) else _not_blank(value)

    @field_validator("file")
    @classmethod
    def _document_is_there_once(cls, value: Upload | str | None, info: ValidationInfo) -> Upload | str | None:
        if value is None:
            if info.data.get("source", "faulty") is None:
                raise ValueError("The document is missing: send it in a part named source or file")
            return value
        if info.data.get("source") is not None:
            raise ValueError("The document is there twice: send it as source or as file")
        if info.data.get("source_type", "file") != "file":
            raise ValueError("A text or address is sent in a part named source")
        return _checked_file(value)

    @property
    def _document(self) -> Upload | str:
        return self.source or self.file or ""

    @property
    def label(self) -> str:
        if isinstance(self._document, Upload):
            return self._document.name
        return self._document if is_address(self.source_type) else self._text_label()

    @property
    def content(self) -> bytes | None:
        """The bytes; None where they are to be fetched."""
        if isinstance(self._document, Upload):
            return self._document.content
        return None if is_address(self.source_type) else self._document.encode()


def _checked_file(value: Upload | str | None) -> Upload | str | None:
    if isinstance(value, str):
        raise ValueError("A file is sent as a part with a filename")
    if value is not None and not value.content:
        raise ValueError("The file is empty")
    return value


IngestRequest = IngestText | IngestForm


class DocumentChange(JsonBody):
    """What is to be different, as a JSON merge patch (RFC 7396); what is left out stays as it is."""

    metadata: Metadata | None = Field(
        None, description="Merged into the metadata: null removes a name. Null for the whole removes all."
    )
    collection: Collection | None = Field(None, json_schema_extra=_never_null)
    external_id: ExternalId | None = Field(None, description="Null takes the name away.")

    @field_validator("collection")
    @classmethod
    def _has_a_collection(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("A document is always in a collection")
        return value


class DocumentsQuery(PageQuery):
    collection: Collection | None = None
    status: Status | None = Field(None, description="Without it, all but the deleted ones.")
    source_type: Literal["file", "text", "url", "github"] | None = None
    search: str | None = Field(None, max_length=200, description="Literal text in source or external_id.")


class SkipQuery(QueryString):
    skip: Annotated[WholeNumber, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[WholeNumber, Field(ge=1, le=100)] = 20


class ChunksQuery(SkipQuery):
    pass


class RevisionsQuery(SkipQuery):
    pass


class CollectionsQuery(SkipQuery):
    pass
