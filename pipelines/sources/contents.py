"""The bytes of a revision: those that were posted, or those that its address gave, fetched once and kept."""

from dataclasses import dataclass

from core.errors import UnsupportedFormat
from pipelines.document import SourceFile
from pipelines.sources.web import WebPages, file_name
from stores.blobs import BlobKey, BlobStore
from stores.documents import StoredRevision
from stores.fetched import NOT_FETCHED, Fetched, Fetches

URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One a process and event loop."""

    blobs: BlobStore
    fetches: Fetches
    pages: WebPages

    async def of(self, revision: StoredRevision) -> SourceFile:
        """Return the revision's file. Raises IngestFailed when its address gives none, OSError without its blob."""
        key = revision.blob_key
        if key == NOT_FETCHED:
            key = await self._fetched(revision)
        content = await self.blobs.get(revision.tenant_id, key)
        if revision.source_type == URL:
            return SourceFile(name=file_name(revision.source), content=content, is_web_page=True)
        return SourceFile(name=revision.source, content=content)

    async def _fetched(self, revision: StoredRevision) -> BlobKey:
        if revision.source_type != URL:
            raise UnsupportedFormat("The document has no bytes. Post it again.")
        before = await self.fetches.before(revision)
        page = await self.pages.fetch(revision.source, before.origin if before else None)
        if page.content is None and before is not None:
            found = Fetched(blob_key=before.blob_key, size_bytes=before.size_bytes, origin=page.origin)
        else:
            content = page.content or b""
            key = await self.blobs.put(revision.tenant_id, content)
            found = Fetched(blob_key=key, size_bytes=len(content), origin=page.origin)
        return (await self.fetches.keep(revision, found)).blob_key
