"""Check a safetensors file before any library reads it; torch-free.

The library accepts some files it should not (a key twice over the same bytes, integers as
weights) and takes seconds over headers with tens of thousands of keys.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from styletransfer.architectures import ARCHITECTURES, Architecture, Shapes, count_elements
from styletransfer.errors import CheckpointRejected

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 5_000
MAX_RANK = 8
FACTS_SHOWN = 5
_LENGTH_BYTES = 8

DTYPE_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}
WEIGHT_DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies in the file, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """The table of tensors, and where their bytes start in the file."""

    entries: Mapping[str, Entry]
    data_start: int


def read_header(data: bytes | memoryview) -> Header:
    """Parse the header and require that the tensors tile the rest of the file exactly.

    Raises:
        CheckpointRejected: corrupt_file(reason), too_many_parameters for far too many tensors.
    """
    length = _read_length(data)
    start = _LENGTH_BYTES + length
    text = bytes(data[_LENGTH_BYTES:start])
    if not text.startswith(b"{"):
        _corrupt("header_json")
    table = _parse_json(text)
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _corrupt("metadata")
    if len(table) > MAX_TENSORS:
        raise CheckpointRejected(
            "too_many_parameters", problem="tensors", found=len(table), limit=MAX_TENSORS
        )
    entries = {key: _parse_entry(key, value) for key, value in table.items()}
    _require_tiling(entries, len(data) - start)
    return Header(entries, start)


def require_architecture(
    header: Header, architecture: Architecture, parameters: Mapping[str, int]
) -> Header:
    """Compare names, number formats and shapes with those of the architecture.

    Returns:
        The header without what files of this kind hold and the network has no use for.

    Raises:
        CheckpointRejected: wrong_keys, wrong_dtype or wrong_shapes.
    """
    expected = architecture.expected_shapes(parameters)
    found = {
        key: entry
        for key, entry in header.entries.items()
        if key in expected or not architecture.unused.fullmatch(key)
    }
    shapes = {key: entry.shape for key, entry in header.entries.items()}
    _require_keys(expected, found, shapes)
    for key, entry in found.items():
        if entry.dtype not in WEIGHT_DTYPES:
            accepted = list(WEIGHT_DTYPES)
            raise CheckpointRejected("wrong_dtype", key=key, expected=accepted, found=entry.dtype)
        if entry.shape != expected[key]:
            raise CheckpointRejected(
                "wrong_shapes",
                key=key,
                expected=list(expected[key]),
                found=list(entry.shape),
                **_what_fits(shapes),
            )
    return Header(found, header.data_start)


def require_finite(data: bytes | memoryview, header: Header) -> None:
    """Refuse NaN and infinite weights.

    Raises:
        CheckpointRejected: non_finite_weights(key).
    """
    view = memoryview(data)
    for key, entry in header.entries.items():
        raw = view[header.data_start + entry.begin : header.data_start + entry.end]
        if not _is_finite(raw, entry.dtype):
            raise CheckpointRejected("non_finite_weights", key=shorten(key))


def count_weights(header: Header) -> int:
    """Count the numbers in the tensors of a header."""
    return count_elements(entry.shape for entry in header.entries.values())


def shorten(name: str | bytes) -> str:
    """Make a name out of an untrusted file fit to be shown."""
    if isinstance(name, bytes):  # what protobuf gives where a name is not UTF-8
        name = name.decode("utf-8", "replace")
    printable = "".join(c if c.isprintable() else "?" for c in name[:100])
    return printable.encode("utf-8", "replace").decode()


def _read_length(data: bytes | memoryview) -> int:
    if len(data) < _LENGTH_BYTES:
        _corrupt("truncated", found=len(data))
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        _corrupt("header_too_long", limit=MAX_HEADER_BYTES, found=length)
    if length > len(data) - _LENGTH_BYTES:
        _corrupt("truncated", expected=_LENGTH_BYTES + length, found=len(data))
    return length


def _parse_json(text: bytes) -> dict[str, Any]:
    try:
        table = json.loads(
            text.decode("utf-8"), object_pairs_hook=_refuse_repeats, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        _corrupt("header_json")
    if not isinstance(table, dict):
        _corrupt("header_json")
    return table


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            _corrupt("duplicate_key", key=shorten(key))
        table[key] = value
    return table


def _refuse_constant(name: str) -> NoReturn:
    _corrupt("header_json", found=name)


def _parse_entry(key: str, value: Any) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        _corrupt("entry", key=shorten(key))
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or not _are_whole(shape) or not _are_whole(offsets):
        _corrupt("entry", key=shorten(key))
    if dtype not in DTYPE_BYTES:
        raise CheckpointRejected(
            "wrong_dtype", key=shorten(key), expected=list(WEIGHT_DTYPES), found=shorten(dtype)
        )
    if len(shape) > MAX_RANK or len(offsets) != 2:
        _corrupt("entry", key=shorten(key))
    entry = Entry(dtype, tuple(shape), *offsets)
    if entry.end - entry.begin != DTYPE_BYTES[dtype] * count_elements([entry.shape]):
        _corrupt("tensor_size", key=shorten(key))
    return entry


def _are_whole(values: Any) -> bool:
    # A bool is an int to Python, but `true` is no size.
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in values)


def _require_tiling(entries: Mapping[str, Entry], available: int) -> None:
    position = 0
    for key, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != position:
            _corrupt("overlap" if entry.begin < position else "hole", key=shorten(key))
        position = entry.end
    if position > available:
        _corrupt("truncated", expected=position, found=available)
    if position < available:
        _corrupt("trailing_bytes", expected=position, found=available)


def _require_keys(expected: Shapes, found: Mapping[str, Entry], shapes: Shapes) -> None:
    missing = [key for key in expected if key not in found]
    unexpected = [shorten(key) for key in found if key not in expected]
    if not missing and not unexpected:
        return
    facts = {
        "missing": missing[:FACTS_SHOWN],
        "unexpected": unexpected[:FACTS_SHOWN],
        "missing_count": len(missing),
        "unexpected_count": len(unexpected),
    }
    hint = _what_fits(shapes)
    if not hint and 2 * len(missing) > len(expected):
        hint = {"known": list(ARCHITECTURES)}  # and it is none of them
    raise CheckpointRejected("wrong_keys", **facts, **hint)


def _what_fits(shapes: Shapes) -> dict[str, object]:
    """Name the architecture and the parameters that the weights are meant for, if it is known."""
    for architecture in ARCHITECTURES.values():
        if parameters := architecture.recognise(shapes):
            listed = ", ".join(f"{name} {value}" for name, value in parameters.items())
            return {
                "fits": f"{architecture.name} ({listed})",
                "fits_architecture": architecture.name,
                "fits_parameters": [[name, value] for name, value in parameters.items()],
            }
    return {}


def _is_finite(raw: memoryview, dtype: str) -> bool:
    import numpy as np  # headers are read where there is none: in the web server

    if dtype == "F32":
        return bool(np.isfinite(np.frombuffer(raw, dtype="<f4")).all())
    # NumPy has no bfloat16, and in both 16-bit formats all exponent bits set means not finite.
    exponent = np.uint16(0x7F80 if dtype == "BF16" else 0x7C00)
    bits = np.frombuffer(raw, dtype="<u2")
    return not bool(((bits & exponent) == exponent).any())


def _corrupt(reason: str, **facts: object) -> NoReturn:
    raise CheckpointRejected("corrupt_file", reason=reason, **facts)
