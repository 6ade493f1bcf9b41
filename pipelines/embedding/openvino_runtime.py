"""The same graph in bfloat16 by OpenVINO, where the CPU multiplies it natively: cosine 0.9999 to the exact vectors."""

import importlib.util
import queue
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.embedding.base import Vectors
from pipelines.embedding.runtime import TokenIds


def is_worthwhile() -> bool:
    """Whether OpenVINO is installed and the CPU has bfloat16 instructions (AVX512-BF16 or AMX)."""
    if importlib.util.find_spec("openvino") is None:
        return False
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoRuntime:
    """`threads` streams of one thread each; a call takes an idle one and waits where all are busy."""

    def __init__(self, graph: Path, *, threads: int) -> None:
        import openvino

        compiled = openvino.Core().compile_model(
            str(graph),
            "CPU",
            {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads},
        )
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(compiled.create_infer_request())

    def run(self, ids: TokenIds, mask: TokenIds) -> Vectors:
        request = self._idle.get()
        try:
            # The result is a view of the request's own memory, which its next user overwrites.
            return np.array(request.infer({"input_ids": ids, "attention_mask": mask})["embedding"], np.float32)
        finally:
            self._idle.put(request)
