"""What a source of many documents is: a listing by stable names and fingerprints, and the file behind each name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.document import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One document of a source. `external_id` stays, `fingerprint` changes with the content.

    It is empty where the source cannot tell: then the document has to be asked for.
    """

    external_id: str
    uri: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Part of what a source has. `cursor` goes on from here; None when this was the last part."""

    items: Sequence[Item]
    cursor: str | None = None


class Source(Protocol):
    """What is in no part of a complete listing is not in the source any more."""

    async def list(self, cursor: str | None) -> Listing:
        """Return the part at `cursor`, the first one for None. Raises IngestFailed."""

    async def fetch(self, item: Item) -> SourceFile:
        """Return the file of an item that was listed. Raises IngestFailed."""
