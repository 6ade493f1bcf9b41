"""What one commit is about to change, worked out beforehand so that what Lance reports can be checked against it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import IndexingFailed
from core.ids import DocumentId
from stores.lance.predicates import AllOf, AnyOf, AtMost, OneOf, Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReport:
    """What a commit changed, in chunks. Documents in `stale` were left alone: the table holds a later revision."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    stale: frozenset[DocumentId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPlan:
    rows: pa.Table
    retired: Mapping[DocumentId, int]
    """Documents with chunks to delete, and the revision up to which they go."""
    report: CommitReport

    @property
    def changes_nothing(self) -> bool:
        return not (self.rows.num_rows or self.report.deleted)

    def check(self, *, inserted: int, updated: int, deleted: int) -> None:
        """Raise IndexingFailed unless Lance did what was planned."""
        planned = (self.report.inserted, self.report.updated, self.report.deleted)
        if planned != (inserted, updated, deleted):
            raise IndexingFailed(
                "The index did not change as planned; the document is tried again.",
                planned=planned,
                reported=(inserted, updated, deleted),
            )


def wanted_revisions(rows: pa.Table, retire: Mapping[DocumentId, int]) -> dict[DocumentId, int]:
    """Return the revision that each document of a commit is to have. Raises ValueError if there are two."""
    wanted = dict(retire)
    pairs = set(zip(rows["document_id"].to_pylist(), rows["revision"].to_pylist(), strict=True))
    for document_id, revision in pairs:
        if wanted.setdefault(document_id, revision) != revision:
            raise ValueError(f"One commit brings two revisions of document {document_id}.")
    return wanted


def plan_commit(rows: pa.Table, wanted: Mapping[DocumentId, int], stored: pa.Table) -> CommitPlan:
    """Plan that each document has exactly its chunks among `rows` afterwards.

    `stored` holds chunk_id, document_id and revision of every chunk these documents have now.
    """
    held = list(zip(*(stored[name].to_pylist() for name in ("chunk_id", "document_id", "revision")), strict=True))
    stale = frozenset(document_id for _, document_id, revision in held if revision > wanted[document_id])
    if stale:
        rows = rows.filter(pc.invert(pc.is_in(rows["document_id"], pa.array(sorted(stale), pa.string()))))
    written = set(rows["chunk_id"].to_pylist())
    if len(written) != rows.num_rows:
        raise ValueError("One commit brings the same chunk twice.")
    leaving = [document_id for chunk_id, document_id, _ in held if chunk_id not in written and document_id not in stale]
    updated = sum(chunk_id in written for chunk_id, _, _ in held)
    return CommitPlan(
        rows=rows,
        retired={document_id: wanted[document_id] for document_id in leaving},
        report=CommitReport(inserted=len(written) - updated, updated=updated, deleted=len(leaving), stale=stale),
    )


def up_to_revision(documents: Mapping[DocumentId, int]) -> Predicate:
    """Return what selects each document's chunks of that revision and older ones.

    Grouped by revision: one condition per document would be a chain deep enough to exhaust a parser's stack.
    """
    groups: dict[int, list[DocumentId]] = {}
    for document_id, revision in documents.items():
        groups.setdefault(revision, []).append(document_id)
    return AnyOf(
        tuple(
            AllOf((OneOf("document_id", tuple(members)), AtMost("revision", revision)))
            for revision, members in sorted(groups.items())
        )
    )
