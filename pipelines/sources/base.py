"""What a source of many documents is: a listing by stable names and fingerprints, and the file behind each name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """The file behind an item, and what its origin says about it, to ask it later whether that has changed."""

    file: SourceFile
    origin: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """What is in no part of a complete listing is not in the source any more."""

    async def list(self, cursor: str | None) -> Listing:
        """Return the part at `cursor`, the first one for None. Raises IngestFailed."""

    async def fetch(self, item: Item, known: Mapping[str, str]) -> Brought | None:
        """Return what a listed item is; None if it is still what its origin said `known` about. Raises IngestFailed."""
