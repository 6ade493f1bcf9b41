"""Opens chunk tables: each tenant has its own per embedding space, made when first asked for."""

import asyncio
from collections import OrderedDict
from datetime import timedelta
from pathlib import Path

import lancedb

from core.ids import TenantId
from stores.lance.driver import LanceTable
from stores.lance.indexes import ensure_indexes
from stores.lance.resident import ResidentCache
from stores.lance.schema import chunk_schema, table_name
from stores.lance.table import ChunkTable

_MEBIBYTE = 1024 * 1024


class LanceStore:
    """The folder of all tables. Belongs to one event loop.

    Every read looks for a newer version first (0.02 ms on a local disk), so a commit by another process is seen by
    the next search. Open tables are kept, the least used of more than `open_tables` is let go; what Lance caches of
    indexes stays under `index_cache_bytes`, what is kept of small tables under `resident_bytes`.
    """

    def __init__(
        self,
        path: Path,
        *,
        open_tables: int = 1000,
        index_cache_bytes: int = 512 * _MEBIBYTE,
        resident_bytes: int = 256 * _MEBIBYTE,
    ) -> None:
        if not path.is_absolute():
            # The async API takes a relative path that starts with "db" for a cloud address.
            raise ValueError(f"The index needs an absolute path, not {path}.")
        self._path = path
        self._open_tables = open_tables
        self._session = lancedb.Session(
            index_cache_size_bytes=index_cache_bytes, metadata_cache_size_bytes=64 * _MEBIBYTE
        )
        self._residents = ResidentCache(resident_bytes)
        self._connection: lancedb.AsyncConnection | None = None
        self._tables: OrderedDict[str, ChunkTable] = OrderedDict()
        self._opening = asyncio.Lock()

    async def open_table(self, tenant_id: TenantId, space: str, dimensions: int) -> ChunkTable:
        """Return the tenant's table of this embedding space, made if there is none.

        For holders of the table's lease: Lance lets the second of two makers replace what the first has made, rows
        and all. Whoever only reads asks for `find_table`.
        """
        table = await self._table(tenant_id, space, dimensions, make=True)
        assert table is not None
        return table

    async def find_table(self, tenant_id: TenantId, space: str, dimensions: int) -> ChunkTable | None:
        """Return the tenant's table of this embedding space, or None if nothing was ever written to it."""
        return await self._table(tenant_id, space, dimensions, make=False)

    async def find_snapshot(self, tenant_id: TenantId, space: str, dimensions: int, version: int) -> ChunkTable | None:
        """Return the table as it was at `version`, for reading; None if that version is not kept any more."""
        if version < 1 or await self.find_table(tenant_id, space, dimensions) is None:
            return None
        name = table_name(tenant_id, space)
        # A handle of its own each time: one that is kept would not notice that its version was pruned.
        opened = await (await self._connected()).open_table(name)
        try:
            await opened.checkout(version)
        except ValueError:  # Lance's word for "not found"
            return None
        return ChunkTable(f"{name}@{version}", opened, dimensions=dimensions, residents=self._residents)

    async def drop_table(self, tenant_id: TenantId, space: str) -> bool:
        """Delete the table and all that it was, under the table's lease; whether there was one."""
        name = table_name(tenant_id, space)
        self._tables.pop(name, None)
        self._residents.drop(name)
        try:
            await (await self._connected()).drop_table(name)
        except ValueError:  # Lance's word for "not found"
            return False
        return True

    async def _connected(self) -> lancedb.AsyncConnection:
        if self._connection is None:
            self._connection = await lancedb.connect_async(
                self._path, read_consistency_interval=timedelta(0), session=self._session
            )
        return self._connection

    async def _table(self, tenant_id: TenantId, space: str, dimensions: int, *, make: bool) -> ChunkTable | None:
        name = table_name(tenant_id, space)
        table = self._tables.get(name)
        if table is None:
            async with self._opening:
                table = self._tables.get(name) or await self._open(name, dimensions, make=make)
                if table is None:
                    return None
                self._tables[name] = table
        self._tables.move_to_end(name)
        if len(self._tables) > self._open_tables:
            self._tables.popitem(last=False)
        if table.dimensions != dimensions:
            raise ValueError(f"Table {name} holds vectors of {table.dimensions} dimensions, not {dimensions}.")
        return table

    async def _open(self, name: str, dimensions: int, *, make: bool) -> ChunkTable | None:
        connection = await self._connected()
        try:
            opened = await connection.open_table(name)
        except ValueError:  # Lance's word for "not found"
            if not make:
                return None
            opened = await self._create(connection, name, dimensions)
        await ensure_indexes(opened, reading=not make)
        found = (await opened.schema()).field("vector").type.list_size
        return ChunkTable(name, opened, dimensions=found, residents=self._residents)

    async def _create(self, connection: lancedb.AsyncConnection, name: str, dimensions: int) -> LanceTable:
        try:
            return await connection.create_table(name, schema=chunk_schema(dimensions))
        except ValueError:  # another process made it first
            return await connection.open_table(name)
        except RuntimeError as error:
            if "conflict" not in str(error):
                raise
            return await connection.open_table(name)  # another process is making it at this moment
