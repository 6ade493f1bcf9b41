"""What a figure was measured on and when: every benchmark prints this first."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def processor() -> str:
    """Return the CPU's name as the kernel gives it."""
    with_name = [
        line.partition(":")[2].strip()
        for line in (Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else [])
        if line.startswith("model name")
    ]
    return with_name[0] if with_name else platform.processor() or platform.machine()


def heading(title: str) -> str:
    """Return the title with date, machine and the versions that matter."""
    parts = ", ".join(f"{name} {version(name)}" for name in ("lancedb", "onnxruntime", "sanic"))
    today = datetime.now(UTC).date().isoformat()
    return (
        f"{title}\n{today}, {processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {parts}\n"
    )


def quantile(values: list[float], share: float) -> float:
    """Return the value that `share` of the sorted values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
