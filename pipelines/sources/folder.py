"""A folder as a source: its files, with fingerprints that cost no reading."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import DocumentTooLarge, SourceNotFound, SourceUnavailable
from pipelines.document import SourceFile
from pipelines.sources.base import Brought, Item, Listing
from stores.folders import Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """Implements Source. Hidden and empty files are no documents."""

    folder: Folder
    location: str
    max_file_bytes: int

    async def list(self, cursor: str | None) -> Listing:
        """Return all files in one part."""
        try:
            entries = await self.folder.entries()
        except FileNotFoundError as error:
            raise SourceNotFound("There is no such folder. Nothing was deleted.") from error
        except OSError as error:
            raise SourceUnavailable("The folder cannot be read now. Nothing was deleted.") from error
        uri = self.location.rstrip("/")
        return Listing(
            items=[
                Item(external_id=entry.name, uri=f"{uri}/{entry.name}", fingerprint=entry.fingerprint)
                for entry in entries
                if entry.size_bytes > 0 and not any(part.startswith(".") for part in entry.name.split("/"))
            ]
        )

    async def fetch(self, item: Item, known: Mapping[str, str]) -> Brought:
        try:
            content = await self.folder.read(item.external_id, max_bytes=self.max_file_bytes)
        except OSError as error:
            raise SourceUnavailable("The file was listed and cannot be read.") from error
        if len(content) > self.max_file_bytes:
            raise DocumentTooLarge(f"The file has more than {self.max_file_bytes} bytes.")
        return Brought(file=SourceFile(name=item.external_id, content=content))
