"""Safetensors files: headers that lie, weights that are none, and honest ones."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from safetensors.numpy import save

from styletransfer.architectures import ARCHITECTURES
from tests.hostile.case import ACCEPTED, WEIGHTS, Case, fixed

_ARCHITECTURE = ARCHITECTURES["transformer_net"]
_SHAPES = _ARCHITECTURE.expected_shapes({"width": 2})
_FIRST = next(iter(_SHAPES))
Table = dict[str, Any]


def weights(dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Return honest weights, all small."""
    generator = np.random.default_rng(5)
    return {key: generator.normal(0, 0.05, shape).astype(dtype) for key, shape in _SHAPES.items()}


def honest() -> bytes:
    """Return a file that is accepted."""
    return bytes(save(weights()))


def pack(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """Put a file together from a header as it is."""
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def entry(shape: list[Any], begin: Any, end: Any, dtype: Any = "F32", **more: Any) -> Table:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def table(*entries: Table, body: int = 8, **named: Any) -> bytes:
    """Put a file together from entries called a, b, c ..."""
    header = {chr(97 + i): each for i, each in enumerate(entries)} | named
    return pack(json.dumps(header).encode(), bytes(body))


def edited(edit: Any) -> bytes:
    """Return honest weights with something changed."""
    made = weights()
    edit(made)
    return bytes(save(made))


def _first(value: Any) -> Any:
    def edit(made: dict[str, np.ndarray]) -> None:
        made[_FIRST].flat[0] = value

    return edit


def _retyped(dtype: Any) -> Any:
    def edit(made: dict[str, np.ndarray]) -> None:
        made[_FIRST] = made[_FIRST].astype(dtype)

    return edit


def _reshaped(made: dict[str, np.ndarray]) -> None:
    made[_FIRST] = np.zeros((*made[_FIRST].shape[:-1], made[_FIRST].shape[-1] + 1), np.float32)


def _transposed(made: dict[str, np.ndarray]) -> None:
    made[_FIRST] = np.ascontiguousarray(made[_FIRST].transpose(1, 0, 2, 3))


def _renamed(name: str) -> Any:
    def edit(made: dict[str, np.ndarray]) -> None:
        made[name] = made.pop(_FIRST)

    return edit


def _case(name: str, data: bytes, code: str, reason: str | None = None) -> Case:
    return Case(f"safetensors: {name}", fixed(data), code, reason, manifest=dict(WEIGHTS))


def _headers() -> Iterator[Case]:
    """Yield headers that no library should have to read."""
    honest = save(weights())
    bad = "corrupt_file"
    one = entry([2], 0, 8)
    yield _case("header length of 2^64-1", pack(b"{}", length=2**64 - 1), bad, "header_too_long")
    yield _case("header length of 2^63", pack(b"{}", length=2**63), bad, "header_too_long")
    yield _case("header of a gibibyte", pack(b"{}", length=1 << 30), bad, "header_too_long")
    yield _case("header longer than the file", pack(b'{"a":1}', length=5000), bad, "truncated")
    yield _case("header shorter than its JSON", pack(b'{"a":{}}', length=4), bad, "header_json")
    for part in (9, 40, 200, len(honest) // 2, len(honest) - 1):
        yield _case(f"cut after {part} bytes", honest[:part], bad, "truncated")
    yield _case("a byte too many", honest + b"\0", bad, "trailing_bytes")
    yield _case("a zip behind", honest + b"PK\x05\x06" + bytes(18), bad, "trailing_bytes")
    yield _case("JSON that is no table", pack(b'{"a":1}'), bad, "entry")
    yield _case("deep JSON", pack(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), bad, "header_json")
    yield _case("deep lists", pack(b'{"a":' + b"[" * 200_000), bad, "header_json")
    yield _case("a number of a million digits", pack(b'{"a":' + b"9" * 900_000 + b"}"), bad)
    yield _case("not UTF-8", pack(b'{"\xff\xfe":{}}'), bad, "header_json")
    yield _case("UTF-16", pack(b"{" + '"a":{}}'.encode("utf-16-le")), bad, "header_json")
    yield _case("a mark before the JSON", pack(b'\xef\xbb\xbf{"a":{}}'), bad, "header_json")
    yield _case("spaces before the JSON", _spaced_in_front(honest), bad, "header_json")
    yield _case("no metadata", pack(b'{"__metadata__":null}'), bad, "metadata")
    chatty = save(weights(), {f"key {i}": "x" * 90 for i in range(12_000)})
    yield _case("a mebibyte of metadata", chatty, bad, "header_too_long")
    yield _case("NUL in the JSON", pack(b'{"a":{}}\0\0'), bad, "header_json")
    yield _case(
        "NaN for a shape", pack(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}'), bad
    )
    again = json.dumps(one).encode()
    twice = {"duplicate key": b"a", "duplicate key by an escape": b"\\u0061"}
    for name, second in twice.items():
        header = b'{"a":%s,"%s":%s}' % (again, second, again)
        yield _case(name, pack(header, bytes(8)), bad, "duplicate_key")
    field = b'{"a":{"dtype":"F32","dtype":"I8","shape":[2],"data_offsets":[0,8]}}'
    yield _case("duplicate field", pack(field, bytes(8)), bad, "duplicate_key")
    yield _case("metadata that nests", pack(b'{"__metadata__":{"a":{"b":1}}}'), bad, "metadata")
    yield _case("metadata that is a list", pack(b'{"__metadata__":[1]}'), bad, "metadata")
    many = {f"k{i}": entry([0], 0, 0) for i in range(5_001)}
    yield _case("5,001 tensors", pack(json.dumps(many).encode()), "too_many_parameters", "tensors")


def _spaced_in_front(honest: bytes) -> bytes:
    length = int.from_bytes(honest[:8], "little")
    return pack(b"  " + honest[8 : 8 + length], honest[8 + length :])


def _entries() -> Iterator[Case]:
    """Yield tables whose entries can't be true."""
    bad = "corrupt_file"
    yield _case("overlap", table(entry([2], 0, 8), entry([1], 4, 8)), bad, "overlap")
    yield _case("the same bytes twice", table(entry([2], 0, 8), entry([2], 0, 8)), bad, "overlap")
    yield _case("hole", table(entry([1], 0, 4), entry([1], 8, 12), body=12), bad, "hole")
    yield _case("hole at the start", table(entry([1], 4, 8)), bad, "hole")
    yield _case("end before begin", table(entry([2], 8, 0)), bad, "tensor_size")
    yield _case("negative offset", table(entry([2], -8, 0)), bad, "entry")
    yield _case("offset of 2^64", table(entry([2], 0, 2**64)), bad, "entry")
    yield _case("offset that is a float", table(entry([2], 0.0, 8.0)), bad, "entry")
    yield _case("three offsets", table({**entry([2], 0, 8), "data_offsets": [0, 4, 8]}), bad)
    yield _case("negative shape", table(entry([-2], 0, 8)), bad, "entry")
    yield _case("shape that overflows", table(entry([2**33, 2**33], 0, 8)), bad, "tensor_size")
    yield _case("shape that overflows to 0", table(entry([2**32, 2**32], 0, 0)), bad, "tensor_size")
    yield _case("200 GB of shape", table(entry([1 << 38], 0, 8)), bad, "tensor_size")
    yield _case("shape of 65 sides", table(entry([1] * 65, 0, 4), body=4), bad, "entry")
    yield _case("true for a side", table(entry([True, 2], 0, 8)), bad, "entry")
    yield _case("true for an offset", table(entry([2], False, 8)), bad, "entry")
    yield _case("an exponent for an offset", _exponent(), bad, "entry")
    yield _case("8-bit floats", table(entry([8], 0, 8, dtype="F8_E4M3")), "wrong_keys")
    yield _case("8-bit exponents", table(entry([8], 0, 8, dtype="F8_E8M0")), "wrong_dtype")
    yield _case("an empty tensor", table(entry([0, 3], 0, 0), body=0), "wrong_keys")
    yield _case("text for a side", table(entry(["2"], 0, 8)), bad, "entry")
    yield _case("shape that is a table", table(entry([2], 0, 8) | {"shape": {"0": 2}}), bad)
    yield _case("unknown field", table(entry([2], 0, 8, strides=[0])), bad, "entry")
    yield _case("no shape", table({"dtype": "F32", "data_offsets": [0, 8]}), bad, "entry")
    yield _case("dtype that is a list", table(entry([2], 0, 8, dtype=["F32"])), bad, "entry")
    yield _case("dtype of 4 bits", table(entry([16], 0, 8, dtype="F4")), "wrong_dtype")
    yield _case("dtype in lower case", table(entry([2], 0, 8, dtype="f32")), "wrong_dtype")
    yield _case("an empty table", pack(b"{}"), "wrong_keys")


def _exponent() -> bytes:
    return pack(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8e0]}}', bytes(8))


def _contents() -> Iterator[Case]:
    """Yield tables that are right and weights that are not."""
    yield _case("NaN weight", edited(_first(np.nan)), "non_finite_weights")
    yield _case("infinite weight", edited(_first(np.inf)), "non_finite_weights")
    half = weights(np.float16)
    half[_FIRST].flat[0] = -np.inf
    yield _case("infinite weight in 16 bits", bytes(save(half)), "non_finite_weights")
    yield _case("NaN in bfloat16", _brain_nan(), "non_finite_weights")
    empty = edited(lambda made: made.update({_FIRST: np.zeros((0, 3, 9, 9), np.float32)}))
    yield _case("a tensor without numbers", empty, "wrong_shapes")
    beside = edited(lambda made: made.update(more=np.zeros((0,), np.float32)))
    yield _case("an empty tensor beside", beside, "wrong_keys")
    for dtype in (np.int32, np.float64, np.uint8, np.int64, np.bool_):
        name = np.dtype(dtype).name
        yield _case(f"weights of {name}", edited(_retyped(dtype)), "wrong_dtype")
    yield _case("a side too long", edited(_reshaped), "wrong_shapes")
    yield _case("first axes swapped", edited(_transposed), "wrong_shapes")
    yield _case("a key missing", edited(lambda made: made.pop(_FIRST)), "wrong_keys")
    wrong = [
        "../../etc/passwd",
        "__class__",
        "a" * 5_000,
        "x\u202ey\x00\x1b[2J",
        "module." + _FIRST,
    ]
    for name in wrong:
        label = name.encode("unicode_escape")[:24].decode()
        yield _case(f"a key called {label}", edited(_renamed(name)), "wrong_keys")
    huge = {key: value * np.float32(3e38) for key, value in weights().items()}
    yield _case("weights that overflow", bytes(save(huge)), "non_finite_output")
    other = {"model.0.weight": np.zeros((3, 3), np.float32)}
    yield _case("another network", bytes(save(other)), "wrong_keys")


def _brain_nan() -> bytes:
    """Return honest weights in bfloat16 but for one number."""
    half = save(weights(np.float16))
    length = int.from_bytes(half[:8], "little")
    header = half[8 : 8 + length].replace(b'"F16"', b'"BF16"').rstrip()
    return pack(header, b"\xc0\x7f" + bytes(len(half) - 8 - length - 2))


def _honest() -> Iterator[Case]:
    yield _case("honest, 32 bits", bytes(save(weights())), ACCEPTED)
    yield _case("honest, 16 bits", bytes(save(weights(np.float16))), ACCEPTED)
    yield _case("honest, with metadata", bytes(save(weights(), {"format": "pt"})), ACCEPTED)
    padded = save(weights())
    length = int.from_bytes(padded[:8], "little")
    spaced = pack(padded[8 : 8 + length] + b" " * 64, padded[8 + length :])
    yield _case("honest, header padded with spaces", spaced, ACCEPTED)


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_headers(), *_entries(), *_contents(), *_honest()]
