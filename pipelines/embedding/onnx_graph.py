"""Build the sentence encoder (BERT layers, mean pooling, L2 norm) as an ONNX graph from its weights.

Exact float32: every vector agrees with the reference implementation to cosine 1.000000, and no torch is needed.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from pipelines.embedding.safetensors import Tensors

# Gelu and LayerNormalization are operators of their own from opset 20 on.
_OPSET = 20
_IR_VERSION = 9
_LAYER_NORM_EPSILON = 1e-12  # BERT's, from the model's config.json
# Added to the scores of padding before the softmax; exp() of it is 0 in float32.
_MASKED = -10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderShape:
    """The sizes of all-MiniLM-L6-v2, from its config.json."""

    layers: int = 6
    heads: int = 12
    dimensions: int = 384


@dataclass(slots=True)
class _Graph:
    """Nodes and constants as they are added; each method returns the name of what it adds."""

    tensors: Tensors
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: Any, dtype: type[np.generic] = np.float32) -> str:
        # Not ascontiguousarray: it makes a scalar one-dimensional, and onnxruntime fails later in a fused Slice.
        array: NDArray[Any] = np.array(value, dtype, order="C")
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def dense(self, x: str, weights: str, output: str) -> str:
        product = self.node(
            "MatMul", [x, self.constant(f"{output}.w", self.tensors[f"{weights}.weight"].T)], f"{output}.xw"
        )
        return self.node("Add", [product, self.constant(f"{output}.b", self.tensors[f"{weights}.bias"])], output)

    def layer_norm(self, x: str, weights: str, output: str) -> str:
        scale = self.constant(f"{output}.scale", self.tensors[f"{weights}.weight"])
        bias = self.constant(f"{output}.bias", self.tensors[f"{weights}.bias"])
        return self.node("LayerNormalization", [x, scale, bias], output, axis=-1, epsilon=_LAYER_NORM_EPSILON)


def build_encoder(tensors: Tensors, shape: EncoderShape | None = None) -> ModelProto:
    """Return the graph: int64 `input_ids` and `attention_mask` (batch, length) to `embedding` (batch, dimensions)."""
    shape = shape or EncoderShape()
    graph = _Graph(tensors)
    _shared_constants(graph, shape)
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    bias = _attention_bias(graph, mask)
    x = _embeddings(graph)
    for layer in range(shape.layers):
        x = _encoder_layer(graph, x, bias, f"encoder.layer.{layer}", f"layer{layer}")
    _pool(graph, x, mask)
    return _model(graph, shape)


def _shared_constants(graph: _Graph, shape: EncoderShape) -> None:
    head = shape.dimensions // shape.heads
    graph.constant("split_heads", [0, 0, shape.heads, head], np.int64)
    graph.constant("merge_heads", [0, 0, shape.dimensions], np.int64)
    graph.constant("attention_scale", 1 / np.sqrt(head))
    graph.constant("one", 1.0)
    graph.constant("masked", _MASKED)
    graph.constant("axis_1", [1], np.int64)
    graph.constant("axis_2", [2], np.int64)
    graph.constant("axes_1_2", [1, 2], np.int64)
    graph.constant("index_0", 0, np.int64)
    graph.constant("index_1", 1, np.int64)


def _attention_bias(graph: _Graph, mask: str) -> str:
    padding = graph.node("Sub", ["one", graph.node("Unsqueeze", [mask, "axes_1_2"], "mask4")], "padding")
    return graph.node("Mul", [padding, "masked"], "attention_bias")


def _embeddings(graph: _Graph) -> str:
    tensors = graph.tensors
    words = graph.constant("words", tensors["embeddings.word_embeddings.weight"])
    # One text, one segment: the segment's row is the same for every token, so it is added to the positions here.
    segment = tensors["embeddings.token_type_embeddings.weight"][0]
    places = graph.constant("places", tensors["embeddings.position_embeddings.weight"] + segment)
    word = graph.node("Gather", [words, "input_ids"], "word")
    length = graph.node("Gather", [graph.node("Shape", ["input_ids"], "shape"), "index_1"], "length")
    order = graph.node("Range", ["index_0", length, "index_1"], "order")
    place = graph.node("Gather", [places, order], "place")
    return graph.layer_norm(graph.node("Add", [word, place], "embedded"), "embeddings.LayerNorm", "x")


def _encoder_layer(graph: _Graph, x: str, bias: str, weights: str, name: str) -> str:
    attended = graph.dense(
        _attention(graph, x, bias, f"{weights}.attention.self", name),
        f"{weights}.attention.output.dense",
        f"{name}.out",
    )
    x = graph.layer_norm(
        graph.node("Add", [attended, x], f"{name}.sum1"), f"{weights}.attention.output.LayerNorm", f"{name}.x1"
    )
    wide = graph.node("Gelu", [graph.dense(x, f"{weights}.intermediate.dense", f"{name}.wide")], f"{name}.gelu")
    narrow = graph.dense(wide, f"{weights}.output.dense", f"{name}.narrow")
    return graph.layer_norm(graph.node("Add", [narrow, x], f"{name}.sum2"), f"{weights}.output.LayerNorm", f"{name}.x2")


def _attention(graph: _Graph, x: str, bias: str, weights: str, name: str) -> str:
    def heads(which: str, order: list[int]) -> str:
        dense = graph.dense(x, f"{weights}.{which}", f"{name}.{which}")
        split = graph.node("Reshape", [dense, "split_heads"], f"{name}.{which}.split")
        return graph.node("Transpose", [split], f"{name}.{which}.heads", perm=order)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scores = graph.node("Mul", [graph.node("MatMul", [query, key], f"{name}.qk"), "attention_scale"], f"{name}.scaled")
    biased = graph.node("Add", [scores, bias], f"{name}.biased")
    shares = graph.node("Softmax", [biased], f"{name}.shares", axis=-1)
    context = graph.node("MatMul", [shares, value], f"{name}.context")
    joined = graph.node("Transpose", [context], f"{name}.joined", perm=[0, 2, 1, 3])
    return graph.node("Reshape", [joined, "merge_heads"], f"{name}.merged")


def _pool(graph: _Graph, x: str, mask: str) -> None:
    weight = graph.node("Unsqueeze", [mask, "axis_2"], "weight")
    total = graph.node("ReduceSum", [graph.node("Mul", [x, weight], "weighted"), "axis_1"], "total", keepdims=0)
    count = graph.node("ReduceSum", [weight, "axis_1"], "count", keepdims=0)
    graph.node("LpNormalization", [graph.node("Div", [total, count], "mean")], "embedding", axis=-1, p=2)


def _model(graph: _Graph, shape: EncoderShape) -> ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", shape.dimensions])]
    proto = helper.make_graph(graph.nodes, "sentence_encoder", inputs, outputs, graph.constants)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    checker.check_model(model)
    return model
