"""How much memory a generator needs at least, known before it is loaded; torch-free.

A bound from below: what no run can do without. Who allows less than that need not run anything to
know how it ends; who allows more may still see it fail, since libraries need memory of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from styletransfer.architectures import Architecture, Shapes
from styletransfer.architectures.description import Parameters
from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import Fixed, Manifest

FLOAT_BYTES = 4
# A process that has warmed up holds memory that it can use again, which no limit of a job counts.
_HELD_ALREADY = 64 << 20


@dataclass(frozen=True)
class Room:
    """The memory that a generator may use, and the size of the pictures that it has to make."""

    memory_bytes: int
    height: int
    width: int


@dataclass(frozen=True)
class MemoryNeed:
    """What loading and running take at least.

    Attributes:
        weights_bytes: of all weights, as they are computed with.
        file_bytes: read beside them while they are loaded.
        layers_bytes: what layers hold at the same time while a picture is made.
    """

    weights_bytes: int
    file_bytes: int
    layers_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + max(self.file_bytes, self.layers_bytes)

    def require(self, room: Room) -> None:
        """Refuse what can't fit.

        Raises:
            CheckpointRejected: too_much_memory.
        """
        if self.total_bytes > room.memory_bytes + _HELD_ALREADY:
            raise CheckpointRejected(
                "too_much_memory",
                needed_bytes=self.total_bytes,
                weights_bytes=self.weights_bytes,
                layers_bytes=self.layers_bytes,
                limit_bytes=room.memory_bytes,
                size=[room.height, room.width],
            )


def padded_size(manifest: Manifest, room: Room, multiple: int = 1) -> tuple[int, int]:
    """Return the height and width that the network gets to see."""
    if isinstance(manifest.size, Fixed):
        return manifest.size.fixed
    step = math.lcm(manifest.size.multiple_of, multiple)
    return -(-room.height // step) * step, -(-room.width // step) * step


def need_of_architecture(
    architecture: Architecture, manifest: Manifest, room: Room, file_bytes: int
) -> MemoryNeed:
    """Walk through an architecture's layers with sizes in the place of pictures."""
    parameters = manifest.parameters
    size = padded_size(manifest, room, architecture.size_multiple(parameters))
    account = _Account()
    sketch = _Sketch(architecture, parameters, account)
    # A layer that works in place would need less than this says: none of ours does.
    architecture.paint(sketch, *(_Sized(account, 3, *size) for _ in range(architecture.inputs)))
    weights = FLOAT_BYTES * architecture.count_weights(parameters)
    return MemoryNeed(weights, file_bytes, account.most)


class _Account:
    """Counts what is held now, and what was at most."""

    def __init__(self) -> None:
        self.held = self.most = 0

    def take(self, size: int) -> None:
        self.held += size
        self.most = max(self.most, self.held)


class _Sized:
    """A picture's size alone. It is held, in the account, for as long as Python holds it.

    Just so long does torch keep a tensor, as the same lines paint with both.
    """

    def __init__(self, account: _Account, channels: int, height: int, width: int) -> None:
        self.account, self.shape = account, (channels, height, width)
        account.take(self._bytes)

    def __del__(self) -> None:
        self.account.take(-self._bytes)

    @property
    def _bytes(self) -> int:
        return FLOAT_BYTES * math.prod(self.shape)

    def like(self, channels: int, height: int, width: int) -> _Sized:
        return _Sized(self.account, channels, height, width)

    def _with(self, other: _Sized) -> _Sized:
        return self.like(*map(max, self.shape, other.shape))

    __add__ = __sub__ = __mul__ = __truediv__ = _with


class _Sketch:
    """The layers of `styletransfer.architectures.Layers`, which only tell what size comes out."""

    def __init__(
        self, architecture: Architecture, parameters: Parameters, account: _Account
    ) -> None:
        self.parameters_given = architecture.fill_in(parameters)
        self._shapes: Shapes = architecture.list_shapes(self.parameters_given)
        self._account = account

    def convolve(self, key: str, x: _Sized, *, stride: int = 1, padding: int = 0) -> _Sized:
        outputs, _, *kernel = self._shapes[f"{key}.weight"]
        sides = zip(x.shape[1:], kernel, strict=True)
        height, width = ((side + 2 * padding - k) // stride + 1 for side, k in sides)
        return x.like(outputs, height, width)

    def deconvolve(
        self, key: str, x: _Sized, *, stride: int = 2, padding: int = 1, output_padding: int = 0
    ) -> _Sized:
        _, outputs, *kernel = self._shapes[f"{key}.weight"]
        sides = zip(x.shape[1:], kernel, strict=True)
        height, width = (
            (side - 1) * stride - 2 * padding + k + output_padding for side, k in sides
        )
        return x.like(outputs, height, width)

    def instance_norm(self, x: _Sized, key: str | None = None) -> _Sized:
        return x.like(*x.shape)

    def batch_norm(self, key: str, x: _Sized) -> _Sized:
        return x.like(*x.shape)

    def reflect(self, x: _Sized, border: int) -> _Sized:
        channels, height, width = x.shape
        return x.like(channels, height + 2 * border, width + 2 * border)

    def enlarge(self, x: _Sized) -> _Sized:
        channels, height, width = x.shape
        return x.like(channels, 2 * height, 2 * width)

    def shrink(self, x: _Sized) -> _Sized:
        channels, height, width = x.shape
        return x.like(channels, -(-height // 2), -(-width // 2))

    def relu(self, x: _Sized) -> _Sized:
        return x.like(*x.shape)

    def leaky_relu(self, x: _Sized) -> _Sized:
        return x.like(*x.shape)

    def tanh(self, x: _Sized) -> _Sized:
        return x.like(*x.shape)

    def join(self, *parts: _Sized) -> _Sized:
        return parts[0].like(sum(part.shape[0] for part in parts), *parts[0].shape[1:])

    def moments(self, x: _Sized) -> tuple[_Sized, _Sized]:
        channels = x.shape[0]
        return x.like(channels, 1, 1), x.like(channels, 1, 1)
