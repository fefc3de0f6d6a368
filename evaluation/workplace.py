"""What a worker works with on its machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluation.sandbox import SandboxPool


@dataclass(frozen=True)
class Workplace:
    """A worker's device, folders and sandboxes."""

    threads: int
    device: str
    feature_cache: Path
    weights: Path | None
    """Where pretrained networks are; None to fetch them into the user's cache."""
    temporary: Path
    sandboxes: Callable[[], SandboxPool]
