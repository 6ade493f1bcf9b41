"""Real documents: each is parsed in the jail as the worker does it, or fails with a sentence.

    python -m benchmarks.documents --data DIR

DIR holds files of any kind. Exits with 1 if a file fails for a reason of ours.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import heading, quantile
from pipelines.document import ElementKind, SourceFile
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.jail import JailedParser

_OURS = ("INTERNAL_ERROR",)
_TIMEOUT_SECONDS, _MEMORY_BYTES = 20.0, 600 * 1024 * 1024


def line(name: str, found: ParsedFile, seconds: float) -> str:
    """Return what became of one file: how much of what is in it, or why there is nothing."""
    if found.failure is not None:
        return f"{name[:52]:54}{seconds:5.1f} s  {found.failure.code}: {found.failure.message}"
    kinds = Counter(element.kind for element in found.elements)
    pages = len({element.page for element in found.elements if element.page is not None})
    letters = sum(len(element.text) for element in found.elements)
    return (
        f"{name[:52]:54}{seconds:5.1f} s  {len(found.elements):5} elements  {kinds[ElementKind.TABLE]:3} tables"
        f"  {pages:4} pages  {letters:8} characters"
    )


async def run(folder: Path, files: Sequence[Path]) -> int:
    parser = JailedParser(timeout_seconds=_TIMEOUT_SECONDS, memory_bytes=_MEMORY_BYTES)
    outcomes: Counter[str] = Counter()
    times: list[float] = []
    try:
        for path in files:
            began = time.perf_counter()
            [found] = await parser.parse([SourceFile(name=path.name, content=path.read_bytes())])
            times.append(time.perf_counter() - began)
            outcomes[found.failure.code if found.failure else "read"] += 1
            print(line(str(path.relative_to(folder)), found, times[-1]))
    finally:
        await parser.close()
    print(f"\n{len(files)} files: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    print(f"seconds a file: p50 {quantile(times, 0.5):.2f}, p95 {quantile(times, 0.95):.2f}, longest {max(times):.2f}")
    return 1 if any(outcomes[code] for code in _OURS) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args()
    print(heading("Real documents through the jail"))
    files = sorted(path for path in chosen.data.rglob("*") if path.is_file())
    return asyncio.run(run(chosen.data, files))


if __name__ == "__main__":
    sys.exit(main())
