"""What was fetched for revisions that came as an address: kept once, so that every later step sees the same bytes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update

from core.ids import DocumentId
from stores.blobs import BlobKey
from stores.documents import StoredRevision
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow

# The key of a revision whose bytes nobody has brought yet.
NOT_FETCHED = BlobKey("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The bytes of a revision and what their origin said about them, to ask it later whether they have changed."""

    blob_key: BlobKey
    size_bytes: int
    origin: Mapping[str, str]


class Fetches:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def before(self, revision: StoredRevision) -> Fetched | None:
        """Return what an earlier revision of the document fetched last from the same address."""
        query = (
            select(DocumentRevisionRow)
            .where(
                DocumentRevisionRow.document_id == revision.document_id,
                DocumentRevisionRow.tenant_id == revision.tenant_id,
                DocumentRevisionRow.revision < revision.revision,
                DocumentRevisionRow.source == revision.source,
                DocumentRevisionRow.source_type == revision.source_type,
                DocumentRevisionRow.blob_key != NOT_FETCHED,
                DocumentRevisionRow.origin.is_not(None),
            )
            .order_by(DocumentRevisionRow.revision.desc())
            .limit(1)
        )
        async with self._database.reading() as session:
            row = await session.scalar(query)
        return None if row is None else _fetched(row)

    async def keep(self, revision: StoredRevision, fetched: Fetched) -> Fetched:
        """Write down what was fetched and return what is written: the first to come decides for all.

        Two workers may have asked, one of them past its lease; the answers may differ, and a revision is one content.
        """
        document_id: DocumentId = revision.document_id
        its_row = (DocumentRevisionRow.document_id == document_id, DocumentRevisionRow.revision == revision.revision)
        async with self._database.transaction() as session:
            await session.execute(
                update(DocumentRevisionRow)
                .where(*its_row, DocumentRevisionRow.blob_key == NOT_FETCHED)
                .values(blob_key=fetched.blob_key, size_bytes=fetched.size_bytes, origin=dict(fetched.origin))
                .execution_options(synchronize_session=False)
            )
            row = (await session.scalars(select(DocumentRevisionRow).where(*its_row))).one()
            return _fetched(row)


def _fetched(row: DocumentRevisionRow) -> Fetched:
    return Fetched(blob_key=BlobKey(row.blob_key), size_bytes=row.size_bytes, origin=row.origin or {})
