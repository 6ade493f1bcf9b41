"""Tags as they are made and read."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from server.openapi.models import Answer, JsonBody
from stores.index_history import TaggedVersion

MOST_TAGS = 20

# Not to be mistaken for a version (g3.v128) or a time.
TagName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]
IndexVersion = Annotated[str, StringConstraints(pattern=r"^g[1-9][0-9]{0,8}\.v[0-9]{1,15}$")]


class TagRequest(JsonBody):
    name: TagName
    index_version: IndexVersion | None = Field(None, description="As an answer gave it; without it, the newest.")


class TagView(Answer):
    """A version that stays for as long as the tag does, and every later one of its generation with it."""

    name: str
    index_version: str
    created_at: datetime

    @classmethod
    def of(cls, tag: TaggedVersion) -> Self:
        version = f"g{tag.generation.number}.v{tag.version}"
        return cls(name=tag.name, index_version=version, created_at=tag.created_at)


class TagList(Answer):
    items: list[TagView]


class TagDeleted(Answer):
    name: str
