"""Golden questions with the documents that answer them, as they are measured by: what is deleted answers nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from core.ids import DocumentId, TenantId
from stores.sql.engine import Database, Session
from stores.sql.models import DocumentRow, DocumentStatus, GoldenSetRow

# Named in one statement; far below what any backend takes.
_ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenQuestion:
    """`relevant` says how good an answer each document is; 0 and less is none."""

    query: str
    relevant: Mapping[DocumentId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """`version` tells a set from what it was before it was changed."""

    id: str
    name: str
    version: int
    questions: Sequence[GoldenQuestion]


class GoldenSets:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, tenant_id: TenantId) -> list[GoldenSet]:
        """Return a tenant's sets by name. Questions without any living answer are left out: they measure nothing."""
        async with self._database.reading() as session:
            rows = list(
                await session.scalars(
                    select(GoldenSetRow).where(GoldenSetRow.tenant_id == tenant_id).order_by(GoldenSetRow.name)
                )
            )
            wanted = [relevant for row in rows for question in row.questions for relevant in question["relevant"]]
            living = await _living(session, tenant_id, wanted)
        return [
            GoldenSet(id=row.id, name=row.name, version=row.version, questions=_questions(row, living)) for row in rows
        ]

    async def versions(self, tenant_id: TenantId) -> dict[str, int]:
        """Return the version of each set by its id."""
        query = select(GoldenSetRow.id, GoldenSetRow.version).where(GoldenSetRow.tenant_id == tenant_id)
        async with self._database.reading() as session:
            return {row.id: row.version for row in await session.execute(query)}


def _questions(row: GoldenSetRow, living: Mapping[tuple[str, str], Sequence[DocumentId]]) -> list[GoldenQuestion]:
    questions = []
    for asked in row.questions:
        relevant = {
            document_id: named["grade"] for named in asked["relevant"] for document_id in living.get(_name(named), ())
        }
        if any(grade > 0 for grade in relevant.values()):
            questions.append(GoldenQuestion(query=asked["query"], relevant=relevant))
    return questions


def _name(named: Mapping[str, Any]) -> tuple[str, str]:
    if named.get("document_id") is not None:
        return "document_id", named["document_id"]
    return "external_id", named["external_id"]


async def _living(
    session: Session, tenant_id: TenantId, wanted: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], list[DocumentId]]:
    names = sorted({_name(named) for named in wanted})
    found: dict[tuple[str, str], list[DocumentId]] = {}
    for kind, column in (("document_id", DocumentRow.id), ("external_id", DocumentRow.external_id)):
        asked = [name for named_by, name in names if named_by == kind]
        for first in range(0, len(asked), _ASKED_AT_ONCE):
            query = select(column, DocumentRow.id).where(
                DocumentRow.tenant_id == tenant_id,
                column.in_(asked[first : first + _ASKED_AT_ONCE]),
                DocumentRow.status != DocumentStatus.DELETED,
            )
            for name, document_id in await session.execute(query):
                found.setdefault((kind, name or ""), []).append(DocumentId(document_id))
    return found
