"""Lists come in pages: by `skip` as the API reference has it, or by a cursor, which rows made meanwhile do not move."""

import base64
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from core.errors import ValidationFailed
from server.openapi.models import Answer, QueryString, WholeNumber
from stores.sql.keyset import Slice

LARGEST_SKIP = 1_000_000
_MAC_BYTES = 16
# Not filters: one may turn more pages of a size, or fewer of another.
_TURNING = frozenset({"skip", "limit", "cursor"})

Item = TypeVar("Item")


class PageQuery(QueryString):
    """Base of a list's query string. Further fields are filters; a cursor goes on with the filters it began with."""

    skip: Annotated[WholeNumber, Field(ge=0, le=LARGEST_SKIP)] = 0
    limit: Annotated[WholeNumber, Field(ge=1, le=100)] = 20
    cursor: str | None = Field(
        None,
        max_length=512,
        description="`next_cursor` of the page before, with the same filters and without `skip`. Items that are made"
        " meanwhile shift no page.",
    )


class Page(Answer, Generic[Item]):
    """Base of a list's answer."""

    items: list[Item]
    total: int = Field(description="How many there are in all pages.")
    skip: int = Field(description="How many there are on the pages before this one.")
    limit: int
    has_more: bool
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page begins: after the row with this time and id, or after `skip` rows where there is none."""

    after: tuple[datetime, str] | None
    skip: int

    @property
    def offset(self) -> int:
        return 0 if self.after is not None else self.skip


class Cursors:
    """Signs places. `macs` returns 32 bytes that only this installation can compute, and those that it used to.

    A cursor is good for one list of one tenant under the filters it began with. It lasts as long as the root key.
    """

    def __init__(self, macs: Callable[[bytes], Sequence[bytes]]) -> None:
        self._macs = macs

    def place(self, query: PageQuery, *, tenant_id: str, listing: str) -> Place:
        """Return where the page begins. Raises ValidationFailed for a cursor that is not of this list."""
        if query.cursor is None:
            return Place(after=None, skip=query.skip)
        if "skip" in query.model_fields_set:
            raise _refused("/skip", "A cursor knows its place: leave out skip, or the cursor")
        content, _, signature = query.cursor.partition(".")
        right = self._signatures(content, query, tenant_id, listing)
        if not any(hmac.compare_digest(signature.encode(), each.encode()) for each in right):
            raise _refused("/cursor", "This is not a next_cursor of this list with these filters")
        created_at, row_id, skip = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        return Place(after=(datetime.fromisoformat(created_at), row_id), skip=skip)

    def next(
        self,
        query: PageQuery,
        place: Place,
        found: Slice[Any],
        *,
        last: tuple[datetime, str],
        tenant_id: str,
        listing: str,
    ) -> str:
        """Return the cursor of the page after the one that began at `place` and ended with `last`."""
        created_at, row_id = last
        skip = place.skip + len(found.rows)
        content = _base64(json.dumps([created_at.isoformat(), row_id, skip], separators=(",", ":")).encode())
        return f"{content}.{self._signatures(content, query, tenant_id, listing)[0]}"

    def _signatures(self, content: str, query: PageQuery, tenant_id: str, listing: str) -> list[str]:
        filters = query.model_dump(mode="json", exclude=set(_TURNING), exclude_none=True)
        signed = json.dumps([content, tenant_id, listing, filters], sort_keys=True)
        return [_base64(mac[:_MAC_BYTES]) for mac in self._macs(signed.encode())]


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _refused(pointer: str, message: str) -> ValidationFailed:
    return ValidationFailed("The request is not valid.", violations=[{"pointer": pointer, "message": message}])
