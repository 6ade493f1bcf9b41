"""Where a tenant's documents are indexed, and with what: its generations, their embedders and chunkers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import EmbeddingFailed
from core.ids import TenantId
from core.log import get_logger
from pipelines.chunking import chunkers_for
from pipelines.chunking.base import Chunker
from pipelines.document import ChunkingConfig, ChunkingStrategy
from pipelines.embedding.base import Embedder
from pipelines.embedding.catalogue import EmbedderCatalogue
from stores.generations import Generation, Generations, Space

log = get_logger()

Around = Callable[[Embedder], Embedder]


def _as_it_is(embedder: Embedder) -> Embedder:
    return embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Made once a process. `around` is put around every embedder that embeds documents."""

    generations: Generations
    embedders: EmbedderCatalogue
    around: Around = _as_it_is
    _chunkers: dict[str, dict[ChunkingStrategy, Chunker]] = field(default_factory=dict)

    async def of(self, tenant_id: TenantId) -> Generation:
        """Return the generation that answers for a tenant, made if there is none. May wait for a model to load."""
        found = await self.generations.active(tenant_id)
        if found is None:
            name = self.embedders.configured
            found = await self.generations.adopt(tenant_id, await asyncio.to_thread(self.space, name))
        return found

    def space(self, name: str) -> Space:
        """Return what the vectors of an embedder are. Blocks while it loads."""
        embedder = self.embedders.open(name)
        return Space(embedder=name, space=embedder.space, dimensions=embedder.dimensions)

    def embedder(self, generation: Generation) -> Embedder:
        """Return the generation's embedder. Blocks while it loads.

        Raises EmbeddingFailed where its name stands for another space by now: one table never holds two.
        """
        embedder = self.embedders.open(generation.embedder)
        if (embedder.space, embedder.dimensions) != (generation.space, generation.dimensions):
            log.error("index.space_changed", generation=generation.id, space=embedder.space)
            raise EmbeddingFailed(
                "The embedder of this index has been set to another model; set it back, or build a new generation."
            )
        return self.around(embedder)

    def chunker(self, generation: Generation, strategy: ChunkingStrategy) -> Chunker:
        """Return what cuts by `strategy`, counting in the tokens of the generation's embedder. Blocks likewise."""
        if generation.embedder not in self._chunkers:
            self._chunkers[generation.embedder] = chunkers_for(self.embedders.open(generation.embedder))
        return self._chunkers[generation.embedder][strategy]


def chunking_of(generation: Generation, own: ChunkingConfig) -> ChunkingConfig:
    """Return how the generation cuts a document whose own configuration is `own`."""
    if generation.chunking is None:
        return own
    return ChunkingConfig(
        strategy=ChunkingStrategy(generation.chunking["strategy"]),
        chunk_tokens=generation.chunking["chunk_tokens"],
        overlap_tokens=generation.chunking["overlap_tokens"],
    )
