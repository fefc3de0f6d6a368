"""What measuring some of a phase's pairs found: kept, sent and put together; free of torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from styletransfer.errors import CheckpointRejected, InvalidShard
from styletransfer.making import Making
from styletransfer.safetensors_file import read_header

Values = NDArray[np.float64]
Rows = NDArray[np.float32]

# Counts the forms of the stored results; raise it when what is stored in them changes.
_FORM = "1"
_LENGTH_BYTES = 8


@dataclass(frozen=True, eq=False)
class ShardResult:
    """Measurements of the outputs of ``pairs``, without the outputs themselves.

    Attributes:
        pairs: which, in their order.
        values: by metric key, what networks say of each output: ``(n,)`` float64.
        features: by the preparation of images, those of a set distance: ``(n, d)`` float32.
        likeness: how much each output is like its content and its style image: ``(n, 2)``.
        measurements: seconds by step, and peak memory.
        arithmetic: what the last bits depend on.
        making: how the outputs were made, where that was measured.
        guards: what was tried to find oddities, by its name, as plain JSON values.
    """

    pairs: range
    values: Mapping[str, Values]
    features: Mapping[str, Rows]
    likeness: Values
    measurements: Mapping[str, float] = field(default_factory=dict)
    arithmetic: Mapping[str, Any] = field(default_factory=dict)
    making: Making | None = None
    guards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return all of it as a safetensors file."""
        tensors: dict[str, NDArray[Any]] = {
            **{f"values.{key}": found for key, found in self.values.items()},
            **{f"features.{name}": rows for name, rows in self.features.items()},
            "likeness": self.likeness,
        }
        said: dict[str, Any] = {
            "first": self.pairs.start,
            "measurements": dict(self.measurements),
            "arithmetic": dict(self.arithmetic),
            "guards": {name: dict(found) for name, found in self.guards.items()},
        }
        if self.making is not None:
            tensors["picture_s"] = np.array(self.making.picture_s, np.float64)
            said["parameters"] = self.making.parameters
            said["memory_bytes"] = self.making.memory_bytes
        contiguous = {name: np.ascontiguousarray(each) for name, each in tensors.items()}
        text = json.dumps(said, allow_nan=False, sort_keys=True)
        return save(contiguous, {"form": _FORM, "said": text})

    @classmethod
    def from_bytes(cls, data: bytes, pairs: range | None = None) -> "ShardResult":
        """Read what ``to_bytes`` wrote, of ``pairs`` where they are known.

        Raises:
            InvalidShard: it is something else, or of other pairs.
        """
        try:
            tensors, said = _read(data)
            result = _describe(tensors, said)
        except (CheckpointRejected, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InvalidShard(f"not what a shard measured: {error}") from error
        if pairs is not None and result.pairs != pairs:
            raise InvalidShard(f"expected a shard of {pairs}, got one of {result.pairs}")
        return result


def _read(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    header = read_header(data)
    metadata = json.loads(data[_LENGTH_BYTES : header.data_start])["__metadata__"]
    if metadata["form"] != _FORM:
        raise ValueError(f"form {metadata['form']!r}")
    return load(data), json.loads(metadata["said"])


def _describe(tensors: dict[str, NDArray[Any]], said: dict[str, Any]) -> ShardResult:
    likeness = _take(tensors, "likeness", np.float64, (None, 2))
    count = len(likeness)
    first = said["first"]
    if not isinstance(first, int) or first < 0 or count < 1:
        raise ValueError("no pairs")
    making = None
    if "picture_s" in tensors:
        seconds = _take(tensors, "picture_s", np.float64, (count,))
        making = Making(seconds.tolist(), int(said["parameters"]), int(said["memory_bytes"]))
    values, features = {}, {}
    for name in list(tensors):
        kind, _, key = name.partition(".")
        if kind == "values":
            values[key] = _take(tensors, name, np.float64, (count,))
        elif kind == "features":
            features[key] = _take(tensors, name, np.float32, (count, None))
        else:
            raise ValueError(f"{name} is not known")
    return ShardResult(
        pairs=range(first, first + count),
        values=values,
        features=features,
        likeness=likeness,
        measurements={str(key): float(each) for key, each in said["measurements"].items()},
        arithmetic=dict(said["arithmetic"]),
        making=making,
        guards={str(name): dict(found) for name, found in said["guards"].items()},
    )


def _take(
    tensors: dict[str, NDArray[Any]],
    name: str,
    dtype: type[np.floating[Any]],
    shape: tuple[int | None, ...],
) -> NDArray[Any]:
    """Take one tensor out of the rest and require that it is of a kind."""
    found = tensors.pop(name)
    fits = len(shape) == found.ndim and all(
        wanted in (None, side) for wanted, side in zip(shape, found.shape, strict=True)
    )
    if found.dtype != dtype or not fits:
        raise ValueError(f"{name} is {found.dtype} {found.shape}")
    return found
