"""LangGraph: ten nodes that do nothing, without a checkpointer and with its SQLite one, one run after another.

    python -m benchmarks.peers.langgraph_noop RUNS FOLDER

Prints a JSON object: milliseconds of wall and CPU a run, for each way.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

# Installed in the peers' environment only.
from langgraph.checkpoint.sqlite import SqliteSaver  # type: ignore[import-not-found]
from langgraph.graph import END, START, StateGraph  # type: ignore[import-not-found]

NODES = 10


class State(TypedDict):
    value: str


def graph() -> Any:
    built = StateGraph(State)
    names = [f"n{number}" for number in range(NODES)]
    for name in names:
        built.add_node(name, lambda state: {"value": state["value"]})
    for before, after in zip([START, *names], [*names, END], strict=True):
        built.add_edge(before, after)
    return built


def timed(run: Callable[[int], Any], runs: int) -> dict[str, float]:
    for number in range(10):
        run(-1 - number)
    wall, cpu = time.perf_counter(), time.process_time()
    for number in range(runs):
        run(number)
    return {
        "wall_ms": (time.perf_counter() - wall) * 1000 / runs,
        "cpu_ms": (time.process_time() - cpu) * 1000 / runs,
    }


def main(runs: int, folder: Path) -> None:
    plain = graph().compile()
    figures = {"plain": timed(lambda _: plain.invoke({"value": "x"}), runs)}
    with SqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite3")) as saver:
        kept = graph().compile(checkpointer=saver)

        def run(number: int) -> Any:
            return kept.invoke({"value": "x"}, {"configurable": {"thread_id": str(number)}})

        figures["durable"] = timed(run, runs)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
