"""Where fuzzing starts from: honest files that are bent, and structures that are nearly right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from styletransfer.safetensors_file import DTYPE_BYTES
from tests.hostile import onnx_file_cases, onnx_graphs, onnx_run_cases, safetensors_cases
from tests.hostile.case import ONNX, WEIGHTS, Bait, Case

_BIG = st.sampled_from([0, 1, -1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
_NUMBERS = st.one_of(_BIG, st.integers(), st.floats())
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=30)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=15,
)
_NOWHERE = Bait(folder=Path("/nowhere"), port=1)


def _files(cases: list[Case]) -> list[bytes]:
    made = {case.make(_NOWHERE) for case in cases if not case.alone}
    return sorted(
        (data for data in made if 8 < len(data) < 20_000), key=lambda data: (len(data), data)
    )


ONNX_FILES = _files([*onnx_file_cases.cases(), *onnx_run_cases.cases()])
SAFETENSORS_FILES = _files(safetensors_cases.cases())


@st.composite
def bent(draw: st.DrawFn, files: list[bytes]) -> bytes:
    """Change a few bytes of a file, cut, repeat or put something in."""
    data = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["set", "insert", "cut", "repeat", "end", "splice"]))
        if kind == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=20))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
        elif kind == "end":
            del data[max(at, 1) :]
        elif kind == "splice":
            other = draw(st.sampled_from(files))
            data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data[:40_000])


_DTYPES = st.sampled_from([*DTYPE_BYTES, "F4", "f32", "", "F32\0"])
_ENTRY = st.one_of(
    st.fixed_dictionaries(
        {
            "dtype": _DTYPES | _JSON,
            "shape": st.lists(_NUMBERS, max_size=10) | _JSON,
            "data_offsets": st.lists(_NUMBERS, min_size=1, max_size=3) | _JSON,
        }
    ),
    _JSON,
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Write a table of tensors that is nearly one, with a length that is nearly its own."""
    names = st.sampled_from(["a", "b", "__metadata__", "conv1.conv2d.weight"]) | st.text(max_size=8)
    table = draw(st.dictionaries(names, _ENTRY, max_size=5))
    header = json.dumps(table).encode()
    length = len(header) + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 2**40]))
    return max(length, 0).to_bytes(8, "little") + header + draw(st.binary(max_size=64))


@st.composite
def messages(draw: st.DrawFn, depth: int = 4) -> bytes:
    """Write protobuf of any fields in one another, which is often enough nearly a model."""
    out = b""
    for _ in range(draw(st.integers(0, 6))):
        field = draw(st.integers(1, 26))
        wire = draw(st.sampled_from([0, 2, 2, 2, 5, 1, 3, 7]))
        out += onnx_graphs.varint(field << 3 | wire)
        if wire == 0:
            out += onnx_graphs.varint(draw(st.integers(0, 2**64 - 1)))
        elif wire == 2:
            body = draw(messages(depth - 1)) if depth else draw(st.binary(max_size=30))
            length = len(body) + draw(st.sampled_from([0, 0, 0, 0, 0, 1, 2**33]))
            out += onnx_graphs.varint(length) + body
        else:
            out += draw(st.binary(min_size=4, max_size=8))
    return out


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """Write a model whose graph is anything."""
    graph = draw(messages())
    return b"\x08\x08\x3a" + onnx_graphs.varint(len(graph)) + graph + draw(messages(depth=1))


@st.composite
def manifests(draw: st.DrawFn) -> Any:
    """Take a manifest and change, add or drop some of it; sometimes anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_JSON)
    made = json.loads(json.dumps(draw(st.sampled_from([ONNX, WEIGHTS]))))
    for _ in range(draw(st.integers(1, 4))):
        key = draw(st.sampled_from([*made, "extra"]) | st.text(max_size=9))
        if draw(st.booleans()):
            made[key] = draw(_JSON)
        else:
            made.pop(key, None)
    return made


def manifest_texts() -> st.SearchStrategy[bytes]:
    """Write manifests, and what only looks like JSON."""
    written = manifests().map(lambda made: json.dumps(made, ensure_ascii=False))
    plain = written.map(lambda text: text.encode("utf-8", "surrogatepass"))
    honest = [json.dumps(ONNX).encode(), json.dumps(WEIGHTS).encode()]
    deep = st.integers(1, 50_000).map(lambda depth: b"[" * depth)
    return st.one_of(plain, plain, bent(honest), st.binary(max_size=60), deep)
