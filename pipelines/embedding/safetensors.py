"""Read a safetensors file into float32 arrays, without the library and without copying."""

import json
import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]


def read_tensors(path: Path) -> Tensors:
    """Return every float32 tensor of the file, as read-only views of its mapped pages.

    The layout is eight bytes of little-endian header length, a JSON header, then the tensors' bytes, to whose
    beginning the header's `data_offsets` are relative.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header_bytes = int.from_bytes(mapped[:8], "little")
    header = json.loads(mapped[8 : 8 + header_bytes])
    tensors: Tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(mapped, np.float32, (end - begin) // 4, 8 + header_bytes + begin)
        tensors[name] = values.reshape(entry["shape"])
    return tensors
