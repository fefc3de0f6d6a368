"""One file of the corpus: its bytes, what is said of it, and how it has to end."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCEPTED = "accepted"
# Pictures that a generator of the corpus works on: (N, H, W, 3).
SHAPE = (2, 16, 24, 3)

ONNX = {
    "format": "onnx",
    "architecture": None,
    "parameters": {},
    "inputs": [{"role": "content", "name": "content"}],
    "input_range": "0..255",
    "output_range": "0..255",
    "channel_order": "RGB",
    "size": {"multiple_of": 1},
}
WEIGHTS = ONNX | {
    "format": "safetensors",
    "architecture": "transformer_net",
    "parameters": {"width": 2},
    "size": {"multiple_of": 4},
}


@dataclass(frozen=True)
class Bait:
    """What hostile files try to reach on this machine."""

    folder: Path
    """Holds a ``secret`` to be read; nothing new may appear in it."""
    port: int
    """Of 127.0.0.1, where nobody may call."""

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def mark(self) -> Path:
        return self.folder / "executed"


@dataclass(frozen=True)
class Case:
    """A file and what has to become of it."""

    name: str
    make: Callable[[Bait], bytes]
    code: str
    reason: str | None = None
    """The fact ``reason``, ``problem`` or ``kind`` that has to go with the code."""
    manifest: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(ONNX))
    alone: bool = False
    """It may take its sandbox with it: no other case shares it."""

    def __str__(self) -> str:
        return self.name


def fixed(data: bytes) -> Callable[[Bait], bytes]:
    """Make a case whose bytes don't depend on the bait."""
    return functools.partial(_give, data)


def _give(data: bytes, bait: Bait) -> bytes:
    return data
