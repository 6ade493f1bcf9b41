"""A repository that was posted becomes documents: one a file, each with its own job, kept in step by fingerprints."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.sources.base import Item
from pipelines.sources.github import GitHub, Repository
from pipelines.sources.repository_address import RepositoryAddress
from stores.blobs import BlobStore
from stores.documents import StoredRevision
from stores.letterbox import Job
from stores.members import Known, Member, Members
from stores.sql.models import Lane

GITHUB = "github"
# More than this goes to the batch lane: documents posted one by one should not wait behind a repository.
_STREAMED = 200
# Written in one transaction: other writers get their turn between two of them.
_AT_ONCE = 50
_BROUGHT_BY = "brought_by"
# What a name may be in an index of PostgreSQL's.
_NAME_BYTES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """One a process and event loop."""

    github: GitHub
    blobs: BlobStore
    members: Members

    async def expand(self, job: Job, parent: StoredRevision) -> Mapping[str, int]:
        """Bring the documents of a repository in step with it; return how many there are, and were changed.

        Doing it again is harmless: what has the fingerprint it had is left alone. So a worker that dies on the way
        leaves a part, and whoever takes the job next adds the rest, and counts what is there of it. One that has
        lost the job would bring back an older commit: it writes nothing. Raises IngestFailed and LeaseLost.
        """
        address = RepositoryAddress.of(parent.source)
        async with self.github.repository(address) as repository:
            wanted = await _listed(repository)
            known = await self._known(parent, address)
            gone = [name for name in known if name not in wanted and _is_of(address, name)]
            different = [item for name, item in wanted.items() if _differs(parent, item, known.get(name))]
            made = [await self._member(parent, repository, item) for item in different]
        await self._put(job, parent, made)
        deleted = await self._retire(job, parent, gone)
        by_us = _brought_by(parent)
        before = {name for name in wanted if name in known and known[name].origin.get(_BROUGHT_BY) == by_us}
        changed = len(before | {member.external_id for member in made})
        return {
            "documents": len(wanted),
            "changed": changed,
            "unchanged": len(wanted) - changed,
            "deleted": deleted,
            "skipped": repository.skipped,
        }

    async def _put(self, job: Job, parent: StoredRevision, made: Sequence[Member]) -> None:
        lane = Lane.STREAM if len(made) <= _STREAMED else Lane.BATCH
        for first in range(0, len(made), _AT_ONCE):
            some = made[first : first + _AT_ONCE]
            async with self.members.letterbox.fenced(job):
                await self.members.put(parent.tenant_id, parent.collection, GITHUB, some, lane)

    async def _retire(self, job: Job, parent: StoredRevision, gone: Sequence[str]) -> int:
        deleted = 0
        for first in range(0, len(gone), _AT_ONCE):
            some = gone[first : first + _AT_ONCE]
            async with self.members.letterbox.fenced(job):
                deleted += await self.members.retire(parent.tenant_id, parent.collection, some)
        return deleted

    async def _known(self, parent: StoredRevision, address: RepositoryAddress) -> dict[str, Known]:
        """Return the documents by name; what has no fingerprint somebody posted under such a name, and is not ours."""
        known = await self.members.known(parent.tenant_id, parent.collection, GITHUB, _prefix(address))
        return {name: document for name, document in known.items() if document.fingerprint}

    async def _member(self, parent: StoredRevision, repository: Repository, item: Item) -> Member:
        file = (await repository.fetch(item, {})).file
        described = {
            "repository": repository.address.full_name,
            "path": item.external_id.removeprefix(_prefix(repository.address)),
            "commit": repository.commit,
            "url": item.uri,
        }
        return Member(
            external_id=item.external_id,
            source=item.external_id,
            fingerprint=_fingerprint(parent, item),
            blob_key=await self.blobs.put(parent.tenant_id, file.content),
            size_bytes=len(file.content),
            metadata={**parent.metadata, **described},
            chunking=parent.chunking,
            origin={_BROUGHT_BY: _brought_by(parent)},
        )


async def _listed(repository: Repository) -> dict[str, Item]:
    items: dict[str, Item] = {}
    cursor: str | None = None
    while True:
        listing = await repository.list(cursor)
        items |= {item.external_id: item for item in listing.items if len(item.external_id.encode()) <= _NAME_BYTES}
        cursor = listing.cursor
        if cursor is None:
            return items


def _prefix(address: RepositoryAddress) -> str:
    return f"{address.full_name}:"


def _is_of(address: RepositoryAddress, external_id: str) -> bool:
    """Return whether a document is in the part of the repository that was posted: the rest was not looked at."""
    return address.holds(external_id.removeprefix(_prefix(address)))


def _brought_by(parent: StoredRevision) -> str:
    return f"{parent.document_id}:{parent.revision}"


def _differs(parent: StoredRevision, item: Item, known: Known | None) -> bool:
    return known is None or known.fingerprint != _fingerprint(parent, item)


def _fingerprint(parent: StoredRevision, item: Item) -> str:
    """Return what changes when the file does, or what its documents were to be like."""
    described: Any = [dict(parent.metadata), dict(parent.chunking)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    return f"{item.fingerprint}:{digest}"
