"""A repository that was posted becomes documents: one a file, each with its own job, kept in step by fingerprints."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.sources.base import Item
from pipelines.sources.github import GitHub, Repository
from pipelines.sources.repository_address import RepositoryAddress
from stores.blobs import BlobStore
from stores.documents import StoredRevision
from stores.members import Member, Members
from stores.sql.models import Lane

GITHUB = "github"
# More than this goes to the batch lane: documents posted one by one should not wait behind a repository.
_STREAMED = 200
# What a name may be in an index of PostgreSQL's.
_NAME_BYTES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """One a process and event loop."""

    github: GitHub
    blobs: BlobStore
    members: Members

    async def expand(self, parent: StoredRevision) -> Mapping[str, int]:
        """Bring the documents of a repository in step with it; return how many there are, and were changed.

        Doing it again is harmless: what has the fingerprint it had is left alone. So a worker that dies on the way
        leaves a part, and whoever takes the job next adds the rest.
        """
        address = RepositoryAddress.of(parent.source)
        async with self.github.repository(address) as repository:
            wanted = await _listed(repository)
            known = await self._known(parent, address)
            gone = [name for name in known if name not in wanted and _is_of(address, name)]
            different = [item for name, item in wanted.items() if known.get(name) != _fingerprint(parent, item)]
            made = [await self._member(parent, repository, item) for item in different]
        lane = Lane.STREAM if len(made) <= _STREAMED else Lane.BATCH
        changed = await self.members.put(parent.tenant_id, parent.collection, GITHUB, made, lane)
        deleted = await self.members.retire(parent.tenant_id, parent.collection, gone)
        return {
            "documents": len(wanted),
            "changed": changed,
            "unchanged": len(wanted) - changed,
            "deleted": deleted,
            "skipped": repository.skipped,
        }

    async def _known(self, parent: StoredRevision, address: RepositoryAddress) -> dict[str, str]:
        """Return name and fingerprint; what has none was posted under such a name by somebody and is not ours."""
        known = await self.members.known(parent.tenant_id, parent.collection, GITHUB, _prefix(address))
        return {name: document.fingerprint for name, document in known.items() if document.fingerprint}

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


def _fingerprint(parent: StoredRevision, item: Item) -> str:
    """Return what changes when the file does, or what its documents were to be like."""
    described: Any = [dict(parent.metadata), dict(parent.chunking)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    return f"{item.fingerprint}:{digest}"
