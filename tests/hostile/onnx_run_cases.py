"""ONNX graphs that pass for networks: what they declare, do, want, and honest ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tests.hostile.case import ACCEPTED, ONNX, SHAPE, Case, fixed
from tests.hostile.onnx_graphs import (
    SIDES,
    case,
    edited,
    graph,
    model,
    node,
    picture,
    written,
)

_HUGE = 1 << 40
# The very ones that files of the corpus are tried on.
PICTURES = np.random.default_rng(7).integers(0, 256, SHAPE)


# --- What is declared -------------------------------------------------------------------------
def _interfaces() -> Iterator[Case]:
    """Yield graphs with other inputs and outputs than a generator has."""
    wrong = "wrong_inputs"
    garbled = written(model()).replace(b"content", b"\xff\xfentent")
    yield case("an input that is not UTF-8", garbled, wrong, "names")
    yield graph(
        "an input of another name",
        wrong,
        "names",
        nodes=[node("Identity", "x")],
        inputs=[picture("x")],
    )
    yield graph("an input too many", wrong, "names", inputs=[picture("content"), picture("mask")])
    strange = "con\x00tent\u202e\x1b[31m" + "x" * 5_000
    yield graph(
        "an input with control characters",
        wrong,
        "names",
        nodes=[node("Identity", "x")],
        inputs=[picture(strange)],
    )
    yield graph("four channels", wrong, "layout", inputs=[picture("content", [1, 4, "h", "w"])])
    yield graph("channels last", wrong, "layout", inputs=[picture("content", [1, "h", "w", 3])])
    yield graph("a batch of 8", wrong, "layout", inputs=[picture("content", [8, 3, "h", "w"])])
    yield graph(
        "8-bit pictures",
        "wrong_dtype",
        "picture",
        inputs=[picture("content", SIDES, TensorProto.UINT8)],
    )
    yield graph(
        "64-bit pictures",
        "wrong_dtype",
        "picture",
        inputs=[picture("content", SIDES, TensorProto.DOUBLE)],
    )
    three = [picture(name) for name in ("content", "style", "mask")]
    yield graph("three inputs", wrong, "names", inputs=three)
    alone = [node("Identity", "w")]
    numbers = {"w": np.zeros((1, 3, 16, 24), np.float32)}
    made = model(alone, weights=numbers)
    made.graph.ClearField("input")
    yield case("no input", written(made), wrong, "names")
    for kind in ("sequence", "optional"):
        held = getattr(helper, f"make_{kind}_type_proto")(picture("x").type)
        value = helper.make_value_info("content", held)
        yield graph(f"an input that is {kind}", "wrong_dtype", "picture", inputs=[value])
        value = helper.make_value_info("output", held)
        yield graph(f"an output that is {kind}", "wrong_dtype", "picture", outputs=[value])
    for dtype in (TensorProto.INT64, TensorProto.FLOAT16, TensorProto.BOOL):
        value = picture("output", None, dtype)
        name = TensorProto.DataType.Name(dtype)
        yield graph(f"an output of {name}", "wrong_dtype", "picture", outputs=[value])
    yield graph(
        "a size fixed at another size", "wrong_size", inputs=[picture("content", [1, 3, 512, 512])]
    )
    yield graph(
        "two outputs", "output_shape", "outputs", outputs=[picture("output"), picture("content")]
    )
    nothing = edited(lambda made: made.graph.ClearField("output"))
    yield case("no output", nothing, "output_shape", "outputs")
    yield graph(
        "an output of text",
        "wrong_dtype",
        "picture",
        outputs=[picture("output", None, TensorProto.STRING)],
    )


# --- What the runtime refuses, and what comes out ---------------------------------------------
def _runs() -> Iterator[Case]:
    """Yield graphs that pass every check and fail when they are built or run."""
    refused = "onnx_refused"
    yield case(
        "a cycle",
        written(model([node("Add", "content b", "a"), node("Relu", "a", "b"), node("Relu", "b")])),
        refused,
        "runtime",
    )
    yield case(
        "an input from nowhere",
        written(model([node("Add", "content nowhere")])),
        refused,
        "runtime",
    )
    yield case(
        "two nodes with one output", written(model([node("Relu"), node("Abs")])), refused, "runtime"
    )
    yield case("no opset", edited(lambda made: made.ClearField("opset_import")), refused, "runtime")
    yield case("opset 999", written(model(opset=999)), refused, "runtime")
    yield case(
        "opset -1",
        edited(lambda made: setattr(made.opset_import[0], "version", -1)),
        refused,
        "runtime",
    )
    yield case(
        "IR version 99", edited(lambda made: setattr(made, "ir_version", 99)), refused, "runtime"
    )
    yield case(
        "an attribute of another type",
        written(model([node("LeakyRelu", alpha="x")])),
        refused,
        "runtime",
    )
    yield case(
        "a negative stride",
        written(model([node("AveragePool", kernel_shape=[2, 2], strides=[-1, -1])])),
        refused,
        "runtime",
    )
    yield case(
        "a kernel of 2^40",
        written(model([node("AveragePool", kernel_shape=[_HUGE, _HUGE])])),
        "generator_crashed",
    )
    yield graph(
        "zero times NaN",
        "non_finite_output",
        nodes=[node("Sub", "content content", "z"), node("Div", "z z")],
    )
    yield graph(
        "infinity",
        "non_finite_output",
        nodes=[
            node("Sub", "content content", "z"),
            node("Exp", "content", "e"),
            node("Div", "e z"),
        ],
    )
    yield graph(
        "NaN for the darker picture only",
        "non_finite_output",
        nodes=[
            node("ReduceMean", "content", "m", keepdims=0),
            node("Sub", "m t", "d"),
            node("Sqrt", "d", "r"),
            node("Add", "content r"),
        ],
        weights={"t": np.array(PICTURES.mean(axis=(1, 2, 3)).mean(), np.float32)},
    )
    yield graph("opset 1", "onnx_refused", "runtime", opset=1, nodes=[node("Selu", gamma=1)])
    yield graph(
        "half the size",
        "output_shape",
        nodes=[node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])],
    )
    yield graph("one channel", "output_shape", nodes=[node("ReduceMean", axes=[1], keepdims=1)])
    yield graph("a single number", "output_shape", nodes=[node("ReduceMean", keepdims=0)])
    yield graph("64-bit numbers out", "onnx_refused", nodes=[node("Cast", to=TensorProto.DOUBLE)])
    yield graph(
        "shapes that don't fit",
        "generator_crashed",
        nodes=[node("Add", "content f")],
        weights={"f": np.ones((7, 11), np.float32)},
    )
    yield graph(
        "a reshape to nothing",
        "generator_crashed",
        nodes=[node("Reshape", "content s")],
        weights={"s": np.array([5, 7, 11], np.int64)},
    )
    index = {"i": np.array([1 << 40], np.int64)}
    yield graph(
        "an index far outside",
        "generator_crashed",
        nodes=[node("Gather", "content i")],
        weights=index,
    )
    negative = {"p": np.array([0, 0, -9, -9, 0, 0, -9, -9], np.int64)}
    yield graph(
        "padding away more than there is",
        "generator_crashed",
        nodes=[node("Pad", "content p")],
        weights=negative,
    )


def _bombs() -> Iterator[Case]:
    """Yield small files that want terabytes, or for ever."""
    memory = "too_much_memory"
    shape = np.array([1, 3, 1 << 20, 1 << 20], np.int64)
    yield graph(
        "ConstantOfShape of terabytes",
        memory,
        nodes=[node("ConstantOfShape", "s", "c"), node("Mul", "content c")],
        weights={"s": shape},
    )
    yield graph(
        "Expand to terabytes",
        memory,
        nodes=[node("Slice", "content a b x", "one"), node("Expand", "one s")],
        weights={
            "s": shape,
            "a": np.zeros(2, np.int64),
            "b": np.ones(2, np.int64),
            "x": np.array([2, 3], np.int64),
        },
    )
    yield graph(
        "Resize to terabytes",
        memory,
        nodes=[helper.make_node("Resize", ["content", "", "s"], ["output"], mode="nearest")],
        weights={"s": np.array([1, 1, 1e5, 1e5], np.float32)},
    )
    pads = np.array([0, 0, 1 << 20, 1 << 20, 0, 0, 1 << 20, 1 << 20], np.int64)
    yield graph(
        "Pad to terabytes",
        memory,
        nodes=[node("Pad", "content p")],
        weights={"p": pads},
    )
    yield graph(
        "Tile to terabytes",
        memory,
        nodes=[node("Tile", "content r")],
        weights={"r": np.array([1, 1, 1 << 18, 1 << 18], np.int64)},
    )
    yield graph(
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
    )
    doubling = [node("Concat", "content content", "c0", axis=0)]
    doubling += [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(40)]
    yield graph(
        "doubling 41 times",
        memory,
        nodes=[*doubling, node("ReduceMean", "c40", axes=[0], keepdims=1)],
    )
    # How large it will be, nobody can tell before it runs.
    sides = [node("ReduceMax", "content", "m", keepdims=0), node("Mul", "m k", "l")]
    sides += [node("Cast", "l", "i", to=TensorProto.INT64), node("Unsqueeze", "i z", "v")]
    sides += [node("Concat", "v v", "s", axis=0), node("ConstantOfShape", "s", "c")]
    yield graph(
        "terabytes that depend on the picture",
        "out_of_memory",
        nodes=[*sides, node("ReduceMean", "c", "n", keepdims=0), node("Add", "content n")],
        weights={"k": np.array(1e4, np.float32), "z": np.array([0], np.int64)},
        alone=True,
    )
    slow = {
        "w": np.full((64, 64, 31, 31), 1e-6, np.float32),
        "a": np.full((64, 3, 1, 1), 1e-3, np.float32),
        "b": np.full((3, 64, 1, 1), 1e-3, np.float32),
    }
    layers = [node("Conv", "content a", "c0")]
    layers += [node("Conv", f"c{i} w", f"c{i + 1}", pads=[15] * 4) for i in range(400)]
    yield graph(
        "400 convolutions of 31 x 31",
        "too_slow",
        nodes=[*layers, node("Conv", "c400 b")],
        weights=slow,
        alone=True,
    )


def _honest() -> Iterator[Case]:
    yield graph("honest, identity", ACCEPTED)
    scale = {"f": np.full((1, 3, 1, 1), 0.5, np.float32)}
    yield graph("honest, half as bright", ACCEPTED, nodes=[node("Mul", "content f")], weights=scale)
    long = [node("Relu", f"v{i}" if i else "content", f"v{i + 1}") for i in range(1_000)]
    yield graph("honest, a thousand layers", ACCEPTED, nodes=[*long, node("Abs", "v1000")])
    path = "../../etc/passwd"
    yield graph(
        "honest, a weight called like a file",
        ACCEPTED,
        nodes=[helper.make_node("Mul", ["content", path], ["output"])],
        weights={path: np.ones(1, np.float32)},
    )
    chinese = copy.deepcopy(ONNX)
    chinese["inputs"] = [{"role": "content", "name": "\u5185\u5bb9"}]
    named = model([node("Identity", "\u5185\u5bb9")], inputs=[picture("\u5185\u5bb9")])
    name = "onnx: honest, named in Chinese"
    yield Case(name, fixed(written(named)), ACCEPTED, manifest=chinese)
    yield graph("honest, opset 11", ACCEPTED, opset=11)
    kernel = {
        "k": np.full((3, 3, 3, 3), 1 / 27, np.float32),
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    }
    blurred = [
        helper.make_node("Pad", ["content", "p"], ["b"], mode="reflect"),
        node("Conv", "b k"),
    ]
    yield graph("honest, a convolution", ACCEPTED, nodes=blurred, weights=kernel)
    wide = [node("Mul", "content f")]
    yield graph(
        "honest, far out of range",
        ACCEPTED,
        nodes=wide,
        weights={"f": np.full((1,), -1e30, np.float32)},
    )

    def chatty(made: ModelProto) -> None:
        made.metadata_props.add(key="ort_config", value='{"session_options": {}}')
        made.graph.doc_string = "x" * 10_000
        made.producer_name = "\x1b[2J"

    yield case("honest, with much to say about itself", edited(chatty), ACCEPTED)
    two = copy.deepcopy(ONNX)
    two["inputs"] = [{"role": "content", "name": "content"}, {"role": "style", "name": "style"}]
    both = written(
        model([node("Identity", "style")], inputs=[picture("content"), picture("style")])
    )
    yield Case("onnx: honest, the style as it is", fixed(both), ACCEPTED, manifest=two)


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_interfaces(), *_runs(), *_bombs(), *_honest()]
