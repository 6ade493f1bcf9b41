"""Flows as they are written and read. What is wrong with nodes and edges is found all at once, later (validation)."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema

from server.agents.flow.faults import FlowFault
from server.agents.flow.validation import ID_PATTERN, MOST_EDGES, MOST_NODES
from server.agents.nodes.base import NodeType
from server.openapi.models import Answer, JsonBody, QueryString, WholeNumber
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import FlowRow, FlowVersionRow

HIGHEST_VERSION = 2**31 - 1
_MOST_METADATA_BYTES = 65_536

Status = Literal["draft", "published", "archived"]

_ID = {"type": "string", "pattern": ID_PATTERN}
_NODES = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_NODES,
    "items": {
        "type": "object",
        "properties": {
            "id": _ID,
            "type": {"type": "string", "description": "One of GET /api/v1/agents/node-types."},
            "config": {"type": "object", "description": "As `config_schema` of the type has it, or templates."},
        },
        "required": ["id", "type"],
        "additionalProperties": False,
    },
}
_EDGES = {
    "type": "array",
    "maxItems": MOST_EDGES,
    "items": {
        "type": "object",
        "properties": {
            "source": _ID,
            "target": _ID,
            "condition": {
                "type": ["string", "null"],
                "maxLength": 2000,
                "description": "A port of the source, `error`, or a CEL expression. Without it: always taken.",
            },
        },
        "required": ["source", "target"],
        "additionalProperties": False,
    },
}


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(metadata)) > _MOST_METADATA_BYTES:
        raise ValueError(f"Metadata should be at most {_MOST_METADATA_BYTES} bytes of JSON")
    return metadata


Nodes = Annotated[list[Any], WithJsonSchema(_NODES)]
Edges = Annotated[list[Any], WithJsonSchema(_EDGES)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Description = Annotated[str, Field(max_length=10_000)]
Metadata = Annotated[
    dict[str, Any], AfterValidator(_small), Field(description="Kept as it is, for whoever draws or sorts flows.")
]
Number = Annotated[int, Field(ge=1, le=HIGHEST_VERSION)]


class DefinitionBody(JsonBody):
    nodes: Nodes
    edges: Edges = Field([])


class FlowBody(DefinitionBody):
    name: Name
    description: Description = ""
    metadata: Metadata = Field({})


class FlowChange(JsonBody):
    """What is left out stays as it is. Other nodes or edges are another version, which is not published by that."""

    name: Name = ""
    description: Description = ""
    metadata: Metadata = Field({})
    nodes: Nodes = Field([])
    edges: Edges = Field([])
    status: Literal["draft", "archived"] = Field(
        "draft", description="draft: published no more; archived: executed no more. Both are undone by publishing."
    )


class PublishBody(JsonBody):
    version: Number | None = Field(None, description="Without it, the newest.")


class RollbackBody(JsonBody):
    version: Number | None = Field(
        None, description="One that has been published before. Without it, the last one below the published one."
    )


class FlowsQuery(PageQuery):
    search: str | None = Field(None, min_length=1, max_length=255, description="What stands in the name, in any case.")
    status: Status | None = None


# Written out: of a number that is read out of text, pydantic publishes the bounds under names of its own.
_ShownVersion = Annotated[
    WholeNumber,
    Field(ge=1, le=HIGHEST_VERSION),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": HIGHEST_VERSION}),
]


class FlowQuery(QueryString):
    version: _ShownVersion | None = Field(None, description="Which version is shown. Without it, the newest.")


class VersionsQuery(PageQuery):
    pass


class FlowItem(Answer):
    """A flow without what it does."""

    flow_id: str
    name: str
    description: str
    metadata: dict[str, Any]
    status: Status
    latest_version: int = Field(description="The newest version, published or not.")
    published_version: int | None = Field(description="What is executed when nobody names a version.")
    created_by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: FlowRow, **more: Any) -> Self:
        return cls(
            flow_id=row.id,
            name=row.name,
            description=row.description,
            metadata=row.extra,
            status=row.status,
            latest_version=row.latest_number,
            published_version=row.published_number,
            created_by=row.created_by,
            created_at=row.created_at,
            updated_at=row.updated_at,
            **more,
        )


class FlowView(FlowItem):
    """A flow, with what one of its versions does."""

    version: int = Field(description="Of these nodes and edges.")
    nodes: list[Any]
    edges: list[Any]

    @classmethod
    def whole(cls, row: FlowRow, version: FlowVersionRow) -> Self:
        return cls.of(row, version=version.number, **json.loads(version.definition))


class FlowPage(Page[FlowItem]):
    pass


class FlowDeleted(Answer):
    flow_id: str


class VersionItem(Answer):
    flow_id: str
    number: int
    sha256: str = Field(description="Of the definition: versions of the same one do the same.")
    published: bool = Field(description="Whether it is executed when nobody names a version.")
    published_at: datetime | None = Field(description="When it was published last.")
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, row: FlowVersionRow, published: int | None, **more: Any) -> Self:
        return cls(
            flow_id=row.flow_id,
            number=row.number,
            sha256=row.definition_sha256,
            published=row.number == published,
            published_at=row.published_at,
            created_by=row.created_by,
            created_at=row.created_at,
            **more,
        )


class VersionPage(Page[VersionItem]):
    pass


class FaultView(Answer):
    code: str = Field(examples=["dangling_edge"])
    pointer: str = Field(description="A JSON pointer (RFC 6901) into the body.", examples=["/edges/0/target"])
    message: str


class Validated(Answer):
    valid: bool
    faults: list[FaultView]

    @classmethod
    def of(cls, faults: Iterable[FlowFault]) -> Self:
        found = [FaultView(code=each.code, pointer=each.pointer, message=each.message) for each in faults]
        return cls(valid=not found, faults=found)


class NodeTypeView(Answer):
    type: str
    title: str
    description: str
    effect: str = Field(description="pure or read: may be done again; call: done once, whatever happens.")
    config_schema: dict[str, Any] = Field(description="JSON Schema of `config` once its templates are filled in.")
    output_schema: dict[str, Any]
    raw_fields: list[str] = Field(description="Fields in which no templates are filled in.")
    docs: str = Field(description="The page about it.")

    @classmethod
    def of(cls, node_type: NodeType[Any]) -> Self:
        output: Mapping[str, Any] = node_type.output_schema
        return cls(
            type=node_type.name,
            title=node_type.title,
            description=node_type.description,
            effect=node_type.effect.value,
            config_schema=node_type.config_model.model_json_schema(),
            output_schema=dict(output),
            raw_fields=sorted(node_type.raw_fields),
            docs=f"docs/api/nodes.md#{node_type.name}",
        )


class NodeTypes(Answer):
    items: list[NodeTypeView]
