"""What is asked of API keys, and answered. The key itself stands in two answers only: made, and rotated."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field

from server.auth.principal import Scope
from server.openapi.instant import Instant
from server.openapi.models import Answer, JsonBody
from server.openapi.pagination import Page, PageQuery
from stores.sql.models import ApiKeyRow

LONGEST_OVERLAP_SECONDS = 30 * 24 * 3600
_USUAL_OVERLAP_SECONDS = 24 * 3600


def _named(value: str) -> str:
    if not value.strip():
        raise ValueError("The name is empty")
    return value.strip()


def _distinct(scopes: list[Scope]) -> list[Scope]:
    return sorted(set(scopes))


Name = Annotated[str, AfterValidator(_named), Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"})]
Scopes = Annotated[
    list[Annotated[Scope, Field(strict=False)]], AfterValidator(_distinct), Field(min_length=1, max_length=50)
]
Mode = Literal["live", "test"]


class NewKey(JsonBody):
    name: Name
    scopes: Scopes = Field(description="What the key may do: no more than you may.")
    mode: Mode = "live"
    expires_at: Instant | None = Field(None, description="Without it, the key works until it is revoked.")


class ChangedKey(JsonBody):
    """What is left out stays as it is."""

    name: Name = ""
    scopes: Scopes = Field([])
    expires_at: Instant | None = Field(None, description="null: the key works until it is revoked.")


class RotatedKey(JsonBody):
    overlap_seconds: int = Field(
        _USUAL_OVERLAP_SECONDS, ge=0, le=LONGEST_OVERLAP_SECONDS, description="How long the old key still works."
    )


class KeysQuery(PageQuery):
    pass


class KeyView(Answer):
    id: str
    name: str
    prefix: str = Field(description="The first characters of the key, by which to recognise it.")
    mode: Mode
    scopes: list[str]
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To within two minutes.")
    replaced_by: str | None = Field(description="The key that takes this one's place; both work until `expires_at`.")
    version: int

    @classmethod
    def of(cls, row: ApiKeyRow) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            mode="test" if row.prefix.startswith("cxk_test_") else "live",
            scopes=sorted(row.scopes),
            created_at=row.created_at,
            created_by=row.created_by,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            replaced_by=row.replaced_by,
            version=row.version,
        )


class KeyMade(Answer):
    """The key is shown this once; what is kept is its hash."""

    key: str
    api_key: KeyView


class KeyPage(Page[KeyView]):
    pass
