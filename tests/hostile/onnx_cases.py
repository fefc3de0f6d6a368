"""ONNX graphs: what runtimes obey beyond a network, bombs, and honest ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

from tests.hostile.case import ACCEPTED, ONNX, Bait, Case, fixed

_SIDES: list[Any] = [1, 3, "h", "w"]
_HUGE = 1 << 40
Weights = dict[str, Any]
Edit = Callable[[ModelProto], object]


def node(
    kind: str, inputs: str = "content", output: str = "output", **attributes: Any
) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def picture(name: str, shape: Any = _SIDES, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: Sequence[NodeProto] | None = None,
    *,
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    weights: Weights | None = None,
    opset: int = 17,
) -> ModelProto:
    """Make a graph that returns the content if nothing else is asked for."""
    graph = helper.make_graph(
        list(nodes or [node("Identity")]),
        "generator",
        list(inputs or [picture("content")]),
        list(outputs or [picture("output", None)]),
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (weights or {}).items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def written(made: ModelProto) -> bytes:
    return bytes(made.SerializeToString())


def edited(edit: Edit, **parts: Any) -> bytes:
    made = model(**parts)
    edit(made)
    return written(made)


def _case(
    name: str, data: bytes, code: str, reason: str | None = None, *, alone: bool = False
) -> Case:
    return Case(f"onnx: {name}", fixed(data), code, reason, alone=alone)


def _graph(
    name: str, code: str, reason: str | None = None, *, alone: bool = False, **parts: Any
) -> Case:
    return _case(name, written(model(**parts)), code, reason, alone=alone)


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
    yield _case("external without a path", edited(_flagged, weights=_factor()), "external_data")
    yield _case("external in a constant", edited(_external_constant), "external_data")
    yield _case("a sub-graph's external weights", edited(_external_in_subgraph), "onnx_refused")


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
        yield _graph(f"operator {label!r}", "unsupported_operator", nodes=[each])
    garbled = written(model([node("Identity")])).replace(b"Identity", b"\x80dentity")
    yield _case("an operator that is not UTF-8", garbled, "unsupported_operator")
    for domain in ("com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "mine", "../lib.so"):
        each = node("PyOp" if domain == "mine" else "Relu", domain=domain)
        yield _graph(f"domain {domain}", "unsupported_operator", nodes=[each])
    context = node("EPContext", domain="com.microsoft", ep_cache_context="/etc/passwd")
    yield _graph("a compiled engine by path", "unsupported_operator", nodes=[context])
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
        yield _case(name, edited(edit, weights=_factor()), refused, reason)


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
    graph = GraphProto(name="deepest")
    for _ in range(20):  # protobuf itself reads no more than 100 levels
        outer = helper.make_node("Identity", ["content"], ["y"])
        outer.attribute.append(AttributeProto(name="body", type=AttributeProto.GRAPH, g=graph))
        graph = GraphProto(name="g", node=[outer])
    made.graph.node[0].attribute.append(
        AttributeProto(name="body", type=AttributeProto.GRAPH, g=graph)
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
        yield _case(f"cut after {part} bytes", whole[:part], "corrupt_file")
    yield _case(
        "a graph of 3 GiB, it says", b"\x08\x08\x3a\x80\x80\x80\x80\x0c" + bytes(64), "corrupt_file"
    )
    yield _case(
        "a graph of 2^63 bytes, it says",
        b"\x08\x08\x3a" + b"\xff" * 9 + b"\x01",
        "corrupt_file",
    )
    yield _case("no graph", b"\x08\x08\x12\x01x", "corrupt_file", "no_graph")
    yield _case("an empty graph", b"\x08\x08\x3a\x00", "corrupt_file", "no_graph")
    deep = b""
    for _ in range(1_000):  # nested messages
        deep = b"\x3a" + varint(len(deep)) + deep
    yield _case("1,000 messages in one another", b"\x08\x08" + deep, "corrupt_file")
    lies: dict[str, tuple[TensorProto, str]] = {
        "fewer bytes than its shape": (_tensor(dims=[1, 3, 9, 9], raw=b"\0" * 12), "corrupt_file"),
        "more bytes than its shape": (_tensor(dims=[1], raw=b"\0" * 4096), "corrupt_file"),
        "a negative shape": (_tensor(dims=[-1], raw=b"\0" * 4), "corrupt_file"),
        "a shape that overflows": (_tensor(dims=[2**62, 4], raw=b""), "corrupt_file"),
        "200 GB of shape": (_tensor(dims=[50_000_000_000], raw=b"\0" * 4), "corrupt_file"),
        "nine sides": (_tensor(dims=[1] * 9, raw=b"\0" * 4), "corrupt_file"),
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
        yield _case(f"a weight of {name}", written(made), code)
    yield _weight("NaN", np.full((1, 3, 1, 1), np.nan, np.float32), "non_finite_weights")
    yield _weight("infinity", np.full((1, 3, 1, 1), np.inf, np.float32), "non_finite_weights")
    yield _weight("16-bit NaN", np.full((1, 3, 1, 1), np.nan, np.float16), "non_finite_weights")


def _weight(name: str, value: Any, code: str) -> Case:
    nodes = [node("Cast", "factor", "f", to=TensorProto.FLOAT), node("Mul", "content f")]
    return _graph(f"weights of {name}", code, nodes=nodes, weights={"factor": value})


def _tensor(dims: list[int], raw: bytes) -> TensorProto:
    return TensorProto(data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)


def varint(value: int) -> bytes:
    """Write a number as protobuf does."""
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


# --- What is declared -------------------------------------------------------------------------
def _interfaces() -> Iterator[Case]:
    """Yield graphs with other inputs and outputs than a generator has."""
    wrong = "wrong_inputs"
    garbled = written(model()).replace(b"content", b"\xff\xfentent")
    yield _case("an input that is not UTF-8", garbled, wrong, "names")
    yield _graph(
        "an input of another name",
        wrong,
        "names",
        nodes=[node("Identity", "x")],
        inputs=[picture("x")],
    )
    yield _graph("an input too many", wrong, "names", inputs=[picture("content"), picture("mask")])
    strange = "con\x00tent\u202e\x1b[31m" + "x" * 5_000
    yield _graph(
        "an input with control characters",
        wrong,
        "names",
        nodes=[node("Identity", "x")],
        inputs=[picture(strange)],
    )
    yield _graph("four channels", wrong, "layout", inputs=[picture("content", [1, 4, "h", "w"])])
    yield _graph("channels last", wrong, "layout", inputs=[picture("content", [1, "h", "w", 3])])
    yield _graph("a batch of 8", wrong, "layout", inputs=[picture("content", [8, 3, "h", "w"])])
    yield _graph(
        "8-bit pictures",
        "wrong_dtype",
        "picture",
        inputs=[picture("content", _SIDES, TensorProto.UINT8)],
    )
    yield _graph(
        "64-bit pictures",
        "wrong_dtype",
        "picture",
        inputs=[picture("content", _SIDES, TensorProto.DOUBLE)],
    )
    yield _graph(
        "a size fixed at another size", "wrong_size", inputs=[picture("content", [1, 3, 512, 512])]
    )
    yield _graph(
        "two outputs", "output_shape", "outputs", outputs=[picture("output"), picture("content")]
    )
    nothing = edited(lambda made: made.graph.ClearField("output"))
    yield _case("no output", nothing, "output_shape", "outputs")
    yield _graph(
        "an output of text",
        "wrong_dtype",
        "picture",
        outputs=[picture("output", None, TensorProto.STRING)],
    )


# --- What the runtime refuses, and what comes out ---------------------------------------------
def _runs() -> Iterator[Case]:
    """Yield graphs that pass every check and fail when they are built or run."""
    refused = "onnx_refused"
    yield _case(
        "a cycle",
        written(model([node("Add", "content b", "a"), node("Relu", "a", "b"), node("Relu", "b")])),
        refused,
        "runtime",
    )
    yield _case(
        "an input from nowhere",
        written(model([node("Add", "content nowhere")])),
        refused,
        "runtime",
    )
    yield _case(
        "two nodes with one output", written(model([node("Relu"), node("Abs")])), refused, "runtime"
    )
    yield _case(
        "no opset", edited(lambda made: made.ClearField("opset_import")), refused, "runtime"
    )
    yield _case("opset 999", written(model(opset=999)), refused, "runtime")
    yield _case(
        "opset -1",
        edited(lambda made: setattr(made.opset_import[0], "version", -1)),
        refused,
        "runtime",
    )
    yield _case(
        "IR version 99", edited(lambda made: setattr(made, "ir_version", 99)), refused, "runtime"
    )
    yield _case(
        "an attribute of another type",
        written(model([node("LeakyRelu", alpha="x")])),
        refused,
        "runtime",
    )
    yield _case(
        "a negative stride",
        written(model([node("AveragePool", kernel_shape=[2, 2], strides=[-1, -1])])),
        refused,
        "runtime",
    )
    yield _case(
        "a kernel of 2^40",
        written(model([node("AveragePool", kernel_shape=[_HUGE, _HUGE])])),
        "generator_crashed",
    )
    yield _graph(
        "zero times NaN",
        "non_finite_output",
        nodes=[node("Sub", "content content", "z"), node("Div", "z z")],
    )
    yield _graph(
        "infinity",
        "non_finite_output",
        nodes=[
            node("Sub", "content content", "z"),
            node("Exp", "content", "e"),
            node("Div", "e z"),
        ],
    )
    yield _graph(
        "half the size",
        "output_shape",
        nodes=[node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])],
    )
    yield _graph("one channel", "output_shape", nodes=[node("ReduceMean", axes=[1], keepdims=1)])
    yield _graph("a single number", "output_shape", nodes=[node("ReduceMean", keepdims=0)])
    yield _graph("64-bit numbers out", "onnx_refused", nodes=[node("Cast", to=TensorProto.DOUBLE)])
    yield _graph(
        "shapes that don't fit",
        "generator_crashed",
        nodes=[node("Add", "content f")],
        weights={"f": np.ones((7, 11), np.float32)},
    )
    yield _graph(
        "a reshape to nothing",
        "generator_crashed",
        nodes=[node("Reshape", "content s")],
        weights={"s": np.array([5, 7, 11], np.int64)},
    )
    index = {"i": np.array([1 << 40], np.int64)}
    yield _graph(
        "an index far outside",
        "generator_crashed",
        nodes=[node("Gather", "content i")],
        weights=index,
    )
    negative = {"p": np.array([0, 0, -9, -9, 0, 0, -9, -9], np.int64)}
    yield _graph(
        "padding away more than there is",
        "generator_crashed",
        nodes=[node("Pad", "content p")],
        weights=negative,
    )


def _bombs() -> Iterator[Case]:
    """Yield small files that want terabytes, or for ever."""
    memory = "out_of_memory"
    shape = np.array([1, 3, 1 << 20, 1 << 20], np.int64)
    yield _graph(
        "ConstantOfShape of terabytes",
        memory,
        nodes=[node("ConstantOfShape", "s", "c"), node("Mul", "content c")],
        weights={"s": shape},
        alone=True,
    )
    yield _graph(
        "Expand to terabytes",
        memory,
        nodes=[node("Slice", "content a b x", "one"), node("Expand", "one s")],
        weights={
            "s": shape,
            "a": np.zeros(2, np.int64),
            "b": np.ones(2, np.int64),
            "x": np.array([2, 3], np.int64),
        },
        alone=True,
    )
    yield _graph(
        "Resize to terabytes",
        memory,
        nodes=[helper.make_node("Resize", ["content", "", "s"], ["output"], mode="nearest")],
        weights={"s": np.array([1, 1, 1e5, 1e5], np.float32)},
        alone=True,
    )
    pads = np.array([0, 0, 1 << 20, 1 << 20, 0, 0, 1 << 20, 1 << 20], np.int64)
    yield _graph(
        "Pad to terabytes",
        memory,
        nodes=[node("Pad", "content p")],
        weights={"p": pads},
        alone=True,
    )
    yield _graph(
        "Tile to terabytes",
        memory,
        nodes=[node("Tile", "content r")],
        weights={"r": np.array([1, 1, 1 << 18, 1 << 18], np.int64)},
        alone=True,
    )
    yield _graph(
        "Range to 10^12",
        memory,
        nodes=[
            node("Range", "a b d", "r"),
            node("ReduceSum", "r", "s"),
            node("Cast", "s", "f", to=TensorProto.FLOAT),
            node("Mul", "content f"),
        ],
        weights={
            "a": np.array(0, np.int64),
            "b": np.array(10**12, np.int64),
            "d": np.array(1, np.int64),
        },
        alone=True,
    )
    doubling = [node("Concat", "content content", "c0", axis=0)]
    doubling += [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(40)]
    yield _graph(
        "doubling 41 times",
        memory,
        nodes=[*doubling, node("ReduceMean", "c40", axes=[0], keepdims=1)],
        alone=True,
    )
    slow = {
        "w": np.full((64, 64, 31, 31), 1e-6, np.float32),
        "a": np.full((64, 3, 1, 1), 1e-3, np.float32),
        "b": np.full((3, 64, 1, 1), 1e-3, np.float32),
    }
    layers = [node("Conv", "content a", "c0")]
    layers += [node("Conv", f"c{i} w", f"c{i + 1}", pads=[15] * 4) for i in range(400)]
    yield _graph(
        "400 convolutions of 31 x 31",
        "too_slow",
        nodes=[*layers, node("Conv", "c400 b")],
        weights=slow,
        alone=True,
    )


def _honest() -> Iterator[Case]:
    yield _graph("honest, identity", ACCEPTED)
    scale = {"f": np.full((1, 3, 1, 1), 0.5, np.float32)}
    yield _graph(
        "honest, half as bright", ACCEPTED, nodes=[node("Mul", "content f")], weights=scale
    )
    yield _graph("honest, opset 11", ACCEPTED, opset=11)
    kernel = {
        "k": np.full((3, 3, 3, 3), 1 / 27, np.float32),
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    }
    blurred = [
        helper.make_node("Pad", ["content", "p"], ["b"], mode="reflect"),
        node("Conv", "b k"),
    ]
    yield _graph("honest, a convolution", ACCEPTED, nodes=blurred, weights=kernel)
    wide = [node("Mul", "content f")]
    yield _graph(
        "honest, far out of range",
        ACCEPTED,
        nodes=wide,
        weights={"f": np.full((1,), -1e30, np.float32)},
    )

    def chatty(made: ModelProto) -> None:
        made.metadata_props.add(key="ort_config", value='{"session_options": {}}')
        made.graph.doc_string = "x" * 10_000
        made.producer_name = "\x1b[2J"

    yield _case("honest, with much to say about itself", edited(chatty), ACCEPTED)
    two = copy.deepcopy(ONNX)
    two["inputs"] = [{"role": "content", "name": "content"}, {"role": "style", "name": "style"}]
    both = written(
        model([node("Identity", "style")], inputs=[picture("content"), picture("style")])
    )
    yield Case("onnx: honest, the style as it is", fixed(both), ACCEPTED, manifest=two)


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_outside(), *_programs(), *_files(), *_interfaces(), *_runs(), *_bombs(), *_honest()]
