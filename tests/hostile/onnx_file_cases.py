"""ONNX files that are more than a network, or damaged: what runtimes obey, and lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

from tests.hostile.case import Bait, Case
from tests.hostile.onnx_graphs import (
    Edit,
    Weights,
    case,
    edited,
    graph,
    model,
    node,
    picture,
    varint,
    written,
)


# --- Files of this machine --------------------------------------------------------------------
def _outside() -> Iterator[Case]:
    """Yield weights kept elsewhere: whatever the path, and wherever in the graph."""
    places: dict[str, Callable[[Bait], str]] = {
        "an absolute path": lambda bait: str(bait.secret),
        "the same folder": lambda bait: "weights.bin",
        "folders above": lambda bait: "../" * 12 + str(bait.secret).lstrip("/"),
        "the first process": lambda bait: "/proc/1/environ",
        "a memory address": lambda bait: "*/_ORT_MEM_ADDR_/*",
        "an address on the web": lambda bait: f"http://127.0.0.1:{bait.port}/weights",
        "nothing": lambda bait: "",
        "control characters": lambda bait: "a\x00b\r\n\u202e",
    }
    for place, path in places.items():
        yield Case(f"onnx: weights kept at {place}", _external(path), "external_data")
    yield case("external without a path", edited(_flagged, weights=_factor()), "external_data")
    yield case("external in a constant", edited(_external_constant), "external_data")
    yield case("a sub-graph's external weights", edited(_external_in_subgraph), "onnx_refused")


def _factor() -> Weights:
    return {"factor": np.ones((1, 3, 1, 1), np.float32)}


def _external(path: Callable[[Bait], str]) -> Callable[[Bait], bytes]:
    def make(bait: Bait) -> bytes:
        made = model([node("Mul", "content factor")], weights=_factor())
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", path(bait)), ("offset", "0"), ("length", "12")):
            tensor.external_data.add(key=key, value=value)
        return written(made)

    return make


def _flagged(made: ModelProto) -> None:
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _external_constant(made: ModelProto) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], name="hidden")
    tensor.external_data.add(key="location", value="weights.bin")
    made.graph.node.append(helper.make_node("Constant", [], ["hidden"], value=tensor))


def _external_in_subgraph(made: ModelProto) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], name="hidden")
    tensor.external_data.add(key="location", value="/etc/passwd")
    body = helper.make_graph([], "body", [], [], [tensor])
    made.graph.node[0].attribute.append(helper.make_attribute("body", body))


# --- Programs ---------------------------------------------------------------------------------
def _programs() -> Iterator[Case]:
    """Yield graphs that are more than a network."""
    body = helper.make_graph([node("Identity", "content", "y")], "body", [], [picture("y", None)])
    more = {
        "Loop": helper.make_node("Loop", ["", ""], ["output"], body=body),
        "If": helper.make_node("If", ["c"], ["output"], then_branch=body, else_branch=body),
        "Scan": helper.make_node("Scan", ["content"], ["output"], body=body, num_scan_inputs=1),
        "SequenceMap": helper.make_node("SequenceMap", ["content"], ["output"], body=body),
        "RandomUniform": helper.make_node("RandomUniform", [], ["output"], shape=[1]),
        "Multinomial": node("Multinomial"),
        "NonZero": node("NonZero"),
        "StringNormalizer": node("StringNormalizer"),
        "OptionalGetElement": node("OptionalGetElement"),
        "ImageDecoder": node("ImageDecoder"),
        "": node(""),
        "Con\x00v": node("Con\x00v"),
        "a" * 10_000: node("a" * 10_000),
    }
    for name, each in more.items():
        label = name.encode("unicode_escape")[:24].decode()
        yield graph(f"operator {label!r}", "unsupported_operator", nodes=[each])
    garbled = written(model([node("Identity")])).replace(b"Identity", b"\x80dentity")
    yield case("an operator that is not UTF-8", garbled, "unsupported_operator")
    for domain in ("com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "mine", "../lib.so"):
        each = node("PyOp" if domain == "mine" else "Relu", domain=domain)
        yield graph(f"domain {domain}", "unsupported_operator", nodes=[each])
    context = node("EPContext", domain="com.microsoft", ep_cache_context="/etc/passwd")
    yield graph("a compiled engine by path", "unsupported_operator", nodes=[context])
    refused = "onnx_refused"
    changes: dict[str, tuple[Edit, str]] = {
        "functions": (_with_function, "functions"),
        "functions that unfold to 2^60 nodes": (_with_function_bomb, "functions"),
        "training": (lambda made: made.training_info.add(), "training_info"),
        "sparse weights": (lambda made: made.graph.sparse_initializer.add(), "sparse_weights"),
        "nested sub-graphs": (_with_deep_graph, "sub_graph_or_sparse_attribute"),
        "a list of sub-graphs": (_with_graphs, "sub_graph_or_sparse_attribute"),
        "a sparse constant": (_with_sparse_constant, "sub_graph_or_sparse_attribute"),
        "a reference to an attribute": (_with_reference, "function_attribute"),
        "weights of the same name": (_with_weight_twice, "repeated_weight"),
        "10,001 nodes": (_with_many_nodes, "too_many_nodes"),
        "5,001 weights": (_with_many_weights, "too_many_tensors"),
    }
    for name, (edit, reason) in changes.items():
        yield case(name, edited(edit, weights=_factor()), refused, reason)


def _with_function(made: ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("mine", "F", ["x"], ["y"], [], opset))


def _with_function_bomb(made: ModelProto) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    for i in range(60):
        inner = [
            helper.make_node(f"F{i + 1}", ["x"], ["m"], domain="mine"),
            helper.make_node(f"F{i + 1}", ["m"], ["y"], domain="mine"),
        ]
        made.functions.append(helper.make_function("mine", f"F{i}", ["x"], ["y"], inner, opsets))


def _with_deep_graph(made: ModelProto) -> None:
    inner = GraphProto(name="deepest")
    for _ in range(20):  # protobuf itself reads no more than 100 levels
        outer = helper.make_node("Identity", ["content"], ["y"])
        outer.attribute.append(AttributeProto(name="body", type=AttributeProto.GRAPH, g=inner))
        inner = GraphProto(name="g", node=[outer])
    made.graph.node[0].attribute.append(
        AttributeProto(name="body", type=AttributeProto.GRAPH, g=inner)
    )


def _with_graphs(made: ModelProto) -> None:
    made.graph.node[0].attribute.add(name="bodies").graphs.add()


def _with_sparse_constant(made: ModelProto) -> None:
    attribute = made.graph.node[0].attribute.add(name="sparse_value")
    attribute.sparse_tensor.dims.append(1 << 40)


def _with_reference(made: ModelProto) -> None:
    made.graph.node[0].attribute.add(name="axis", ref_attr_name="axis")


def _with_weight_twice(made: ModelProto) -> None:
    made.graph.initializer.append(made.graph.initializer[0])


def _with_many_nodes(made: ModelProto) -> None:
    made.graph.node.extend([node("Relu", "content", "x")] * 10_001)


def _with_many_weights(made: ModelProto) -> None:
    made.graph.initializer.extend(
        TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[0]) for i in range(5_001)
    )


# --- The file itself --------------------------------------------------------------------------
def _files() -> Iterator[Case]:
    """Yield damaged files, and tensors that lie about themselves."""
    whole = written(
        model(
            [node("Mul", "content factor")], weights={"factor": np.ones((1, 3, 64, 64), np.float32)}
        )
    )
    for part in (3, 20, len(whole) // 2, len(whole) - 1):
        yield case(f"cut after {part} bytes", whole[:part], "corrupt_file")
    yield case(
        "a graph of 3 GiB, it says", b"\x08\x08\x3a\x80\x80\x80\x80\x0c" + bytes(64), "corrupt_file"
    )
    yield case(
        "a graph of 2^63 bytes, it says",
        b"\x08\x08\x3a" + b"\xff" * 9 + b"\x01",
        "corrupt_file",
    )
    yield case("no graph", b"\x08\x08\x12\x01x", "corrupt_file", "no_graph")
    yield case("an empty graph", b"\x08\x08\x3a\x00", "corrupt_file", "no_graph")
    deep = b""
    for _ in range(1_000):  # nested messages
        deep = b"\x3a" + varint(len(deep)) + deep
    yield case("1,000 messages in one another", b"\x08\x08" + deep, "corrupt_file")
    lies: dict[str, tuple[TensorProto, str]] = {
        "fewer bytes than its shape": (_tensor(dims=[1, 3, 9, 9], raw=b"\0" * 12), "corrupt_file"),
        "more bytes than its shape": (_tensor(dims=[1], raw=b"\0" * 4096), "corrupt_file"),
        "a negative shape": (_tensor(dims=[-1], raw=b"\0" * 4), "corrupt_file"),
        "a shape that overflows": (_tensor(dims=[2**62, 4], raw=b""), "corrupt_file"),
        "200 GB of shape": (_tensor(dims=[50_000_000_000], raw=b"\0" * 4), "corrupt_file"),
        "nine sides": (_tensor(dims=[1] * 9, raw=b"\0" * 4), "corrupt_file"),
        "raw and listed numbers": (
            TensorProto(data_type=1, dims=[1], raw_data=b"\0" * 4, float_data=[1.0]),
            "corrupt_file",
        ),
        "listed numbers too many": (
            TensorProto(data_type=1, dims=[1], float_data=[1.0, 2.0]),
            "corrupt_file",
        ),
        "text": (
            TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"x"]),
            "wrong_dtype",
        ),
        "a number format of the future": (
            TensorProto(data_type=77, dims=[1], raw_data=b"0" * 4),
            "wrong_dtype",
        ),
        "4-bit numbers": (TensorProto(data_type=22, dims=[2], raw_data=b"0"), "wrong_dtype"),
        "complex numbers": (TensorProto(data_type=14, dims=[1], raw_data=b"0" * 8), "wrong_dtype"),
    }
    for name, (tensor, code) in lies.items():
        tensor.name = "factor"
        made = model([node("Mul", "content factor")])
        made.graph.initializer.append(tensor)
        yield case(f"a weight of {name}", written(made), code)
    yield _weight("NaN", np.full((1, 3, 1, 1), np.nan, np.float32), "non_finite_weights")
    yield _weight("infinity", np.full((1, 3, 1, 1), np.inf, np.float32), "non_finite_weights")
    yield _weight("16-bit NaN", np.full((1, 3, 1, 1), np.nan, np.float16), "non_finite_weights")


def _weight(name: str, value: Any, code: str) -> Case:
    nodes = [node("Cast", "factor", "f", to=TensorProto.FLOAT), node("Mul", "content f")]
    return graph(f"weights of {name}", code, nodes=nodes, weights={"factor": value})


def _tensor(dims: list[int], raw: bytes) -> TensorProto:
    return TensorProto(data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_outside(), *_programs(), *_files()]
