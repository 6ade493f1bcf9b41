"""Reading tensors from their file."""

import json
from pathlib import Path

import numpy as np

from pipelines.embedding.safetensors import read_tensors


def test_tensors_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Shapes and values are those of the file; metadata and other types are left out."""
    first, second = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7.5], np.float32)
    header = {
        "__metadata__": {"format": "pt"},
        "first": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "places": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
        "second": {"dtype": "F32", "shape": [1], "data_offsets": [32, 36]},
    }
    encoded = json.dumps(header).encode()
    body = first.tobytes() + bytes(8) + second.tobytes()
    (tmp_path / "file").write_bytes(len(encoded).to_bytes(8, "little") + encoded + body)
    tensors = read_tensors(tmp_path / "file")
    assert list(tensors) == ["first", "second"]
    assert np.array_equal(tensors["first"], first)
    assert np.array_equal(tensors["second"], second)
