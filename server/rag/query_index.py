"""Which index answers a tenant's questions: read anew for every question, with the embedder that it was made by."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import IndexVersionGone, ResourceNotFound, ServiceUnavailable
from core.ids import DocumentId, TenantId
from core.log import get_logger
from pipelines.embedding.base import Embedder
from pipelines.embedding.catalogue import EmbedderCatalogue
from server.rag.query_embedder import QueryEmbedder, UnaskedEmbedder
from stores.generations import Generation, Generations
from stores.index_history import IndexHistory
from stores.lance import ChunkTable, LanceStore
from stores.sql.models import GenerationState

log = get_logger()

_VERSION = re.compile(r"g([1-9][0-9]{0,8})\.v([0-9]{1,15})", re.ASCII)


class QueryEmbedders:
    """The embedders of this process, each loaded in the background when it is first asked for."""

    def __init__(self, catalogue: EmbedderCatalogue) -> None:
        self._catalogue = catalogue
        self._by_name: dict[str, QueryEmbedder] = {}

    @property
    def configured(self) -> QueryEmbedder:
        return self.named(self._catalogue.configured)

    @property
    def configured_name(self) -> str:
        return self._catalogue.configured

    def knows(self, name: str) -> bool:
        return self._catalogue.knows(name)

    def named(self, name: str) -> QueryEmbedder:
        if name not in self._by_name:
            self._by_name[name] = QueryEmbedder(lambda: self._catalogue.open(name))
        return self._by_name[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryIndex:
    """One generation as a question meets it. `pinned` is the version it is read at; None is always the newest."""

    tenant_id: TenantId
    generation: Generation | None
    embedder: Embedder
    table: ChunkTable | None
    generations: Generations
    pinned: bool = False

    @property
    def number(self) -> int:
        return 1 if self.generation is None else self.generation.number

    async def version(self) -> str:
        """Return what tells this index from every other, and from itself before and after a change."""
        return f"g{self.number}.v{0 if self.table is None else await self.table.version()}"

    async def visible(self, document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
        """Return the lowest revision that may be shown of each living document among these.

        In the past any revision may: a later one was not there yet. A document deleted since is gone from it too.
        """
        if self.pinned:
            return await self.generations.living(self.tenant_id, document_ids)
        return await self.generations.visible(self.tenant_id, self.generation, document_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryIndexes:
    """One a process."""

    lance: LanceStore
    embedders: QueryEmbedders
    generations: Generations
    history: IndexHistory

    async def active(self, tenant_id: TenantId, *, embedding: bool = True) -> QueryIndex:
        """Return the index that answers now. Raises ServiceUnavailable while its embedder cannot be had.

        Without `embedding` nothing will be embedded, and nobody waits for a model.
        """
        generation = await self.generations.active(tenant_id)
        embedder = await self._embedder(generation, embedding)
        table_space = embedder.space if generation is None else generation.table_space
        table = await self.lance.find_table(tenant_id, table_space, embedder.dimensions)
        return self._index(tenant_id, generation, embedder, table)

    async def at(self, generation: Generation, version: int, *, embedding: bool = True) -> QueryIndex | None:
        """Return a generation as it was at a version of its table; None if that is not kept any more."""
        embedder = await self._embedder(generation, embedding)
        snapshot = await self.lance.find_snapshot(
            generation.tenant_id, generation.table_space, generation.dimensions, version
        )
        if snapshot is None:
            return None
        return self._index(generation.tenant_id, generation, embedder, snapshot, pinned=True)

    async def as_of(self, tenant_id: TenantId, name: str, *, embedding: bool = True) -> QueryIndex:
        """Return the index as it was: at a version as an answer gives it, at a time, or as it was tagged.

        Raises ResourceNotFound for a tag or generation that there is not, IndexVersionGone for what is not kept.
        """
        generation, version = await self._named(tenant_id, name)
        retired = generation.state is GenerationState.RETIRED
        found = None if retired else await self.at(generation, version, embedding=embedding)
        if found is None:
            raise IndexVersionGone("This version of the index is not kept any more. Tag a version that is to stay.")
        return found

    async def _named(self, tenant_id: TenantId, name: str) -> tuple[Generation, int]:
        if version := _VERSION.fullmatch(name):
            generation = await self.history.numbered(tenant_id, int(version.group(1)))
            if generation is None:
                raise ResourceNotFound("index_version", name)
            return generation, int(version.group(2))
        if (moment := _moment(name)) is not None:
            generation = await self.history.answering_at(tenant_id, moment)
            if generation is None:
                raise ResourceNotFound("index_version", name)
            return generation, await self._newest_before(generation, moment)
        tagged = await self.history.tagged(tenant_id, name)
        if tagged is None:
            raise ResourceNotFound("index_tag", name)
        return tagged.generation, tagged.version

    async def _newest_before(self, generation: Generation, moment: datetime) -> int:
        table = await self.lance.find_table(generation.tenant_id, generation.table_space, generation.dimensions)
        versions = [] if table is None else await table.versions()
        return max((found.number for found in versions if found.committed_at <= moment), default=0)

    def _index(
        self,
        tenant_id: TenantId,
        generation: Generation | None,
        embedder: Embedder,
        table: ChunkTable | None,
        *,
        pinned: bool = False,
    ) -> QueryIndex:
        return QueryIndex(
            tenant_id=tenant_id,
            generation=generation,
            embedder=embedder,
            table=table,
            generations=self.generations,
            pinned=pinned,
        )

    async def _embedder(self, generation: Generation | None, embedding: bool) -> Embedder:
        if generation is None:  # what the table is called only the embedder knows
            return await self.embedders.configured.ready()
        if not embedding:
            return UnaskedEmbedder(space=generation.space, dimensions=generation.dimensions)
        embedder = await self.embedders.named(generation.embedder).ready()
        if (embedder.space, embedder.dimensions) != (generation.space, generation.dimensions):
            # The vector of a question means nothing among vectors of another space.
            log.error("index.space_changed", generation=generation.id, space=embedder.space)
            raise ServiceUnavailable("The embedder of this index has been set to another model; set it back.")
        return embedder


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
