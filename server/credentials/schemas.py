"""Secrets as they are written and read. What one is stands in a single answer: that of who asked for it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from server.credentials.names import Hosts, SecretKey, Tag, Tags
from server.openapi.instant import Instant
from server.openapi.models import Answer, JsonBody, QueryString, WholeNumber
from server.openapi.pagination import Page, PageQuery

LONGEST_VALUE_BYTES = 65_536
LARGEST_VERSION = 2**31 - 1  # what an INTEGER of every database holds


def _short(value: str) -> str:
    if len(value.encode()) > LONGEST_VALUE_BYTES:
        raise ValueError(f"A value has at most {LONGEST_VALUE_BYTES} bytes in UTF-8")
    return value


def _whole(value: object) -> object:
    # Bodies know 81.0 for an integer, and look no deeper than their own fields.
    return int(value) if isinstance(value, float) and value.is_integer() else value


Value = Annotated[
    str,
    AfterValidator(_short),
    Field(min_length=1, max_length=LONGEST_VALUE_BYTES, description="At most 65536 bytes in UTF-8."),
]
Number = Annotated[int, Field(ge=1, le=LARGEST_VERSION), BeforeValidator(_whole)]
Cas = Annotated[
    int | None,
    Field(
        ge=0,
        le=LARGEST_VERSION,
        description="Only if this is the current version; 0: only if there is no secret under the key.",
    ),
]
RequireMfa = Annotated[bool, Field(description="It is given out only with a code of a second factor, never to a key.")]
AllowedHosts = Annotated[
    Hosts,
    Field(description="Hosts that flows may send it to: `api.example.com`, or `*.example.com`. Empty: any host."),
]
ExpiresAt = Annotated[
    Instant | None, Field(description="From then on the version is not given out any more. Without it, it lasts.")
]


class SecretBody(JsonBody):
    """Tags, `require_mfa` and `allowed_hosts` that are left out stay as they are; a version's end is its own."""

    key: SecretKey
    value: Value
    tags: Tags = Field([])
    expires_at: ExpiresAt = None
    require_mfa: RequireMfa = False
    allowed_hosts: AllowedHosts = Field([])
    cas: Cas = None


class RotationBody(JsonBody):
    value: Value
    expires_at: ExpiresAt = None
    cas: Cas = None


class RollbackBody(JsonBody):
    version: Number = Field(description="Its value becomes that of a new version.")
    cas: Cas = None


class DestructionBody(JsonBody):
    """Without versions: all of them, and the key is free again."""

    versions: Annotated[list[Number], Field(min_length=1, max_length=1_000)] | None = None


class SecretQuery(QueryString):
    version: Annotated[
        WholeNumber, Field(ge=0, le=LARGEST_VERSION, description="Without it, or as 0, the current one.")
    ] = 0


class SecretsQuery(PageQuery):
    tag: Tag | None = Field(None, description="Only secrets that have this tag.")
    expires_before: Instant | None = Field(None, description="Only secrets that expire before this moment.")
    deleted: Literal["true", "false"] = Field("false", description="true: those that can be undeleted.")


class VersionsQuery(PageQuery):
    pass


class UsageQuery(PageQuery):
    pass


class SecretView(Answer):
    """What is known of a secret; not what it is."""

    key: str
    version: int = Field(description="The current one.")
    tags: list[str]
    expires_at: datetime | None
    require_mfa: bool
    allowed_hosts: list[str]
    created_at: datetime
    created_by: str
    updated_at: datetime
    deleted_at: datetime | None
    undelete_until: datetime | None = Field(description="A deleted secret is destroyed for good at this moment.")


class SecretPage(Page[SecretView]):
    pass


class SecretValue(Answer):
    key: str
    version: int
    value: str
    expires_at: datetime | None


class Rotation(SecretView):
    status: Literal["succeeded"] = Field(
        description="The new value was written and read again before this was said, and is what is given out now."
    )
    previous_version: int


class VersionView(Answer):
    number: int
    state: Literal["current", "superseded", "expired", "destroyed"]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    destroyed_at: datetime | None


class VersionPage(Page[VersionView]):
    pass


class Use(Answer):
    """Once that a version was given out."""

    used_at: datetime
    version: int
    principal: str = Field(description="`key:<id>` or `user:<id>`.")
    flow: str | None
    execution: str | None
    host: str | None = Field(description="Where it was sent, if a flow used it.")


class UsePage(Page[Use]):
    pass


class Destruction(Answer):
    key: str
    versions: list[int] = Field(description="Those that are gone by this.")
