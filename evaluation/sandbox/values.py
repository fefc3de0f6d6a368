"""What goes into the sandbox, what comes out, and what can go wrong on our side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.making import Making
from styletransfer.proposal import Proposal

Pixels = NDArray[np.uint8]


class SandboxUnavailable(Exception):
    """The sandbox can't be built or broke down: the platform's fault, never the participant's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SandboxStopped(Exception):
    """The caller asked to stop before the generator was done."""


@dataclass(frozen=True)
class Limits:
    """What one generator may use."""

    wall_s: float
    """Seconds from handing over the checkpoint to the last picture."""
    memory_bytes: int
    """Memory that loading and running may add to what an idle sandbox already holds."""
    cpu_threads: int = 1

    def __post_init__(self) -> None:
        if self.wall_s <= 0 or self.memory_bytes <= 0 or not 1 <= self.cpu_threads <= 64:
            raise ValueError(f"limits out of range: {self}")


@dataclass(frozen=True)
class GeneratorJob:
    """One checkpoint and the pictures it has to stylise."""

    checkpoint: Path
    manifest: dict[str, Any] | None
    """None to have one proposed by what the file holds."""
    contents: Pixels
    """(N, H, W, 3), RGB."""
    styles: Pixels | None
    """The same shape, or None where the phase has no style input."""

    def __post_init__(self) -> None:
        for name, pixels in (("contents", self.contents), ("styles", self.styles)):
            if pixels is None:
                continue
            if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
                raise ValueError(f"{name} must be (N, H, W, 3) uint8, not {pixels.shape}")
        if self.contents.size == 0:
            raise ValueError("a job needs at least one picture")
        if self.styles is not None and self.styles.shape != self.contents.shape:
            raise ValueError("contents and styles must have the same shape")


@dataclass(frozen=True)
class Stylised:
    """Checked pictures and how long they took."""

    outputs: Pixels
    """(N, H, W, 3), RGB."""
    load_s: float
    run_s: float
    picture_s: Sequence[float]
    """How long each picture took by our own clock; the first with loading."""
    parameters: int
    """How many weights were loaded, as the runner says: no more than the file has bytes."""
    memory_bytes: int
    """What loading and running added at most, as the runner says; no more than was allowed."""
    needed_bytes: int
    """What it was expected to add at least, as the runner says; 0 where that is not known."""
    log: str
    """The runner's own words and the last that was printed: for the owner, never to be believed."""
    proposal: Proposal | None = None
    """Where the job had no manifest: the one it ran by, and why."""

    def measure_memory(self) -> dict[str, int]:
        """Return what a check shows of the generator's size."""
        return {
            "parameters": self.parameters,
            "needed_bytes": self.needed_bytes,
            "peak_bytes": self.memory_bytes,
        }

    @property
    def making(self) -> Making:
        """What was measured of how the pictures were made."""
        return Making(self.picture_s, self.parameters, self.memory_bytes)
