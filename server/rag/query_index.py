"""Which index answers a tenant's questions: read anew for every question, with the embedder that it was made by."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import ServiceUnavailable
from core.ids import DocumentId, TenantId
from core.log import get_logger
from pipelines.embedding.base import Embedder
from pipelines.embedding.catalogue import EmbedderCatalogue
from server.rag.query_embedder import QueryEmbedder
from stores.generations import Generation, Generations
from stores.lance import ChunkTable, LanceStore

log = get_logger()


class QueryEmbedders:
    """The embedders of this process, each loaded in the background when it is first asked for."""

    def __init__(self, catalogue: EmbedderCatalogue) -> None:
        self._catalogue = catalogue
        self._by_name: dict[str, QueryEmbedder] = {}

    @property
    def configured(self) -> QueryEmbedder:
        return self.named(self._catalogue.configured)

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

    async def visible(self, document_ids: Sequence[DocumentId]) -> dict[DocumentId, int]:
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

    async def active(self, tenant_id: TenantId) -> QueryIndex:
        """Return the index that answers now. Raises ServiceUnavailable while its embedder cannot be had."""
        generation = await self.generations.active(tenant_id)
        embedder = await self._embedder(generation)
        table_space = embedder.space if generation is None else generation.table_space
        table = await self.lance.find_table(tenant_id, table_space, embedder.dimensions)
        return self._index(tenant_id, generation, embedder, table)

    async def at(self, generation: Generation, version: int) -> QueryIndex | None:
        """Return a generation as it was at a version of its table; None if that is not kept any more."""
        embedder = await self._embedder(generation)
        snapshot = await self.lance.find_snapshot(
            generation.tenant_id, generation.table_space, generation.dimensions, version
        )
        if snapshot is None:
            return None
        return self._index(generation.tenant_id, generation, embedder, snapshot, pinned=True)

    async def of(self, generation: Generation) -> QueryIndex:
        """Return a generation, whether it is the one that answers or not."""
        embedder = await self._embedder(generation)
        table = await self.lance.find_table(generation.tenant_id, generation.table_space, generation.dimensions)
        return self._index(generation.tenant_id, generation, embedder, table)

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

    async def _embedder(self, generation: Generation | None) -> Embedder:
        if generation is None:
            return await self.embedders.configured.ready()
        embedder = await self.embedders.named(generation.embedder).ready()
        if (embedder.space, embedder.dimensions) != (generation.space, generation.dimensions):
            # The vector of a question means nothing among vectors of another space.
            log.error("index.space_changed", generation=generation.id, space=embedder.space)
            raise ServiceUnavailable("The embedder of this index has been set to another model; set it back.")
        return embedder
