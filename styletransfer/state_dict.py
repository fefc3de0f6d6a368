"""Turn a state dict that `torch.save` wrote into safetensors.

Only the sandbox ever runs this on an upload. Nothing is executed by loading tensors alone, yet a
pickle is a program for a small machine, and what it makes is believed by nobody: the safetensors
file that comes out is checked like any other, in another sandbox.
"""

import argparse
import encodings.cp437  # noqa: F401 - of names in zip files; later nothing can be imported
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._weights_only_unpickler import _get_allowed_globals, _get_user_allowed_globals

from styletransfer.architectures import ARCHITECTURES
from styletransfer.errors import CheckpointRejected
from styletransfer.onnx_generator import is_out_of_memory, shorten_message
from styletransfer.pickle_program import Program, read_legacy, read_program
from styletransfer.safetensors_file import FACTS_SHOWN, MAX_HEADER_BYTES, MAX_TENSORS, shorten

Weights = dict[str, Tensor]

# What else is needed beside the tensors of the file, at most.
ENVELOPE_BYTES = MAX_HEADER_BYTES
MAX_DEPTH = 4

# Where training scripts put the weights of the generator, the better ones first.
_WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "params_ema", "params", "generator_ema",
    "g_ema", "generator", "generator_state_dict", "gen", "netG", "net_g", "G", "g", "model",
    "network", "net", "transformer", "weights", "ema",
)  # fmt: skip
# What wraps a network while it is trained, in front of every key.
_TRAINING_PREFIXES = ("module.", "_orig_mod.")
# Two networks of one generator, each in a part of its own.
_PARTS = ({"encoder", "decoder"}, {"vgg", "decoder"})
_DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F32",  # written as float32
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
# What torch.save writes, and torch.load reads with `weights_only`.
_PROTOCOL = 2
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
# Beside tensors, scripts save their options and numbers that NumPy has computed.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.float32(0).__reduce__()[0],
    *(type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8", "bool")),
]


def convert(data: bytes | memoryview, output: memoryview) -> int:
    """Write the weights in a file of `torch.save`, legacy or zip, as safetensors.

    Args:
        data: the whole file.
        output: takes what is written; a little larger than ``data`` is always enough.

    Returns:
        How many bytes were written.

    Raises:
        CheckpointRejected: corrupt_file, format_refused(kind), pickled_objects(name),
            no_weights, several_networks(found), wrong_dtype or too_many_parameters.
    """
    with torch.serialization.safe_globals(_HARMLESS):
        loaded = _load(data)
    found = _find_weights(loaded)
    for key, tensor in found.items():
        _size_of_number(key, tensor)  # refuses what is no plain tensor
    weights = _take_off_prefixes(found)
    return _write(weights, output)


def _load(data: bytes | memoryview) -> Any:
    if bytes(data[:2]) == b"PK":
        _require_plain_zip(data)
    try:
        return torch.load(_open(data), map_location="cpu", weights_only=True)
    except Exception as error:
        if is_out_of_memory(error):
            raise CheckpointRejected("out_of_memory") from error
        raise _explain(error, data) from error


def _explain(error: Exception, data: bytes | memoryview) -> CheckpointRejected:
    """Tell objects that nobody may load from what is damaged."""
    program = _program_of(data)
    allowed = {*_get_allowed_globals(), *_get_user_allowed_globals()}  # type: ignore[no-untyped-call]
    strangers = [name for name in program.names if name not in allowed]
    named = _GLOBAL.search(str(error))  # where the program itself could not be followed
    if named is not None:
        strangers.append(named[1])
    if strangers:
        return CheckpointRejected("pickled_objects", name=shorten(strangers[0]))
    if program.is_whole and program.protocol > _PROTOCOL:
        return CheckpointRejected(
            "format_refused", kind="pickle", problem="pickle_protocol", protocol=program.protocol
        )
    is_short = isinstance(error, EOFError) or "EOF" in str(error) or program.is_cut
    return _damaged(error, "truncated" if is_short else "unreadable")


def _program_of(data: bytes | memoryview) -> Program:
    if bytes(data[:2]) != b"PK":
        return read_legacy(bytes(data))
    with zipfile.ZipFile(_open(data)) as archive:
        name = next(name for name in archive.namelist() if name.partition("/")[2] == "data.pkl")
        try:
            return read_program(archive.read(name))
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError):
            return Program((), is_whole=True, is_cut=False, protocol=0)  # nobody can read it


def _require_plain_zip(data: bytes | memoryview) -> None:
    """Refuse what torch.save never writes: other archives, and ones that unpack to more."""
    try:
        with zipfile.ZipFile(_open(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        # The table of contents stands at the end: without it the file was cut off.
        raise _damaged(error, "truncated") from error
    names = [entry.filename for entry in entries]
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise CheckpointRejected("format_refused", kind="torchscript")
    if "archive_format" in inner or any(name.startswith("models/") for name in inner):
        raise CheckpointRejected("format_refused", kind="pt2")
    if "data.pkl" not in inner:
        raise CheckpointRejected("format_refused", kind="zip")
    is_packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    is_secret = any(entry.flag_bits & 1 for entry in entries)
    is_larger = sum(entry.file_size for entry in entries) > len(data)
    if is_packed or is_secret or is_larger or len(set(names)) < len(names):
        raise CheckpointRejected("corrupt_file", reason="zip_entries")


def _find_weights(loaded: Any) -> Weights:
    found = _search(loaded, MAX_DEPTH)
    if not found:
        raise CheckpointRejected("no_weights", found=_describe(loaded))
    if len(found) > MAX_TENSORS:
        raise CheckpointRejected(
            "too_many_parameters", problem="tensors", found=len(found), limit=MAX_TENSORS
        )
    return found


def _search(value: Any, depth: int) -> Weights:
    """Return the tensors of the generator's mapping; none if there is no such mapping."""
    if not isinstance(value, Mapping) or depth == 0:
        return {}
    nested = {
        name: part
        for name, part in value.items()
        if isinstance(name, str) and _holds_tensors(part, depth - 1)
    }
    plain = {
        name: tensor
        for name, tensor in value.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    named = next((name for name in _WRAPPERS if name in nested), None)
    if named is not None:
        return _search(nested[named], depth - 1)
    if plain:
        return plain
    if nested.keys() in _PARTS:
        parts = {name.replace("vgg", "encoder"): part for name, part in nested.items()}
        joined = ((name, _search(part, depth - 1)) for name, part in parts.items())
        return {f"{name}.{key}": tensor for name, part in joined for key, tensor in part.items()}
    if len(nested) > 1:
        names = [shorten(name) for name in list(nested)[:FACTS_SHOWN]]
        raise CheckpointRejected("several_networks", found=names)
    return next((_search(part, depth - 1) for part in nested.values()), {})


def _holds_tensors(value: Any, depth: int) -> bool:
    if not isinstance(value, Mapping) or depth == 0:
        return False
    return any(
        isinstance(name, str) and (isinstance(part, Tensor) or _holds_tensors(part, depth - 1))
        for name, part in value.items()
    )


def _describe(loaded: Any) -> list[str]:
    if isinstance(loaded, Mapping):
        return [shorten(str(name)) for name in list(loaded)[:FACTS_SHOWN]]
    return [shorten(type(loaded).__name__)]


def _take_off_prefixes(weights: Weights) -> Weights:
    """Take off what training put in front of every key, then what hides an architecture."""
    while prefix := next(
        (each for each in _TRAINING_PREFIXES if all(key.startswith(each) for key in weights)), None
    ):
        weights = {key.removeprefix(prefix): tensor for key, tensor in weights.items()}
    for prefix in ("", *_prefixes(weights)):
        part = {
            key.removeprefix(prefix): tensor
            for key, tensor in weights.items()
            if key.startswith(prefix)
        }
        shapes = {key: tuple(tensor.shape) for key, tensor in part.items()}
        if any(each.recognise(shapes) for each in ARCHITECTURES.values()):
            return part
    return weights


def _prefixes(weights: Weights) -> Iterator[str]:
    first = dict.fromkeys(key.partition(".")[0] for key in weights)
    yield from (f"{name}." for name in list(first)[:20])


def _write(weights: Weights, output: memoryview) -> int:
    # The largest numbers first, so that every tensor lies at a multiple of its size.
    ordered = sorted(weights, key=lambda key: (-_size_of_number(key, weights[key]), key))
    table: dict[str, Any] = {}
    position = 0
    for key in ordered:
        tensor = weights[key]
        end = position + _size_of_number(key, tensor) * tensor.numel()
        table[key] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    if start + position > len(output):
        # A few bytes can claim to be a tensor of any size.
        raise CheckpointRejected("corrupt_file", reason="tensor_size")
    output[:8] = len(text).to_bytes(8, "little")
    output[8:start] = text
    for key in ordered:
        offset = start + table[key]["data_offsets"][0]
        _copy(weights[key].detach(), output, offset)
    return start + position


def _size_of_number(key: str, tensor: Tensor) -> int:
    known = tensor.dtype in _DTYPES
    is_plain = tensor.layout == torch.strided and not tensor.is_nested
    if not known or not is_plain or tensor.device.type != "cpu":
        found = str(tensor.dtype if not known else tensor.layout).removeprefix("torch.")
        found = "nested" if tensor.is_nested else found
        raise CheckpointRejected("wrong_dtype", key=shorten(key), found=found)
    return 4 if tensor.dtype == torch.float64 else tensor.element_size()


def _copy(tensor: Tensor, output: memoryview, offset: int) -> None:
    if tensor.numel():
        dtype = torch.float32 if tensor.dtype == torch.float64 else tensor.dtype
        target = torch.frombuffer(output, dtype=dtype, count=tensor.numel(), offset=offset)
        target.view(tensor.shape).copy_(tensor)


def _damaged(error: Exception, reason: str) -> CheckpointRejected:
    return CheckpointRejected("corrupt_file", reason=reason, message=shorten_message(error))


def _open(data: bytes | memoryview) -> io.BufferedReader:
    return io.BufferedReader(_File(data))


class _File(io.RawIOBase):
    """Reads bytes that lie in memory, without copying them all."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data, self._position = memoryview(data), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)
