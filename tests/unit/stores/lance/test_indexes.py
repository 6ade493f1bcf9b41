"""Loading the text index: a kindness to the first question, and never a condition of it."""

from types import SimpleNamespace
from typing import Any, cast

from stores.lance.driver import LanceTable
from stores.lance.indexes import load_text_index


class _Table:
    """Two indexes, of which Lance refuses to load any."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def list_indices(self) -> list[Any]:
        return [
            SimpleNamespace(name="vector_idx", columns=["vector"]),
            SimpleNamespace(name="text_idx", columns=["text"]),
        ]

    async def prewarm_index(self, name: str) -> None:
        self.asked.append(name)
        raise RuntimeError("lance error: FTS prewarm completed without publishing query-ready state")


async def test_an_index_that_will_not_load_spoils_no_question() -> None:
    """It is asked for, the text index alone, and goes unloaded."""
    table = _Table()
    await load_text_index(cast(LanceTable, table))
    assert table.asked == ["text_idx"]
