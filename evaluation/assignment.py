"""What a worker gets to do and what it hands in, as plain values; free of Django and torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import TypeAdapter

from styletransfer.proposal import Proposal
from styletransfer.recipe import Recipe
from styletransfer.values import ExtractorPin

Stage = Literal["check", "score"]


@dataclass(frozen=True)
class Checkpoint:
    """The file that was entered."""

    sha256: str
    size_bytes: int
    manifest: Mapping[str, Any]
    converted_sha256: str
    """Of the safetensors file that a state dict gave before; empty if it has not been converted."""

    @property
    def is_described(self) -> bool:
        """Say whether the manifest is known; where none was given, the check proposes one."""
        return "inputs" in self.manifest

    @property
    def is_state_dict(self) -> bool:
        return bool(self.manifest["format"] == "state_dict")

    def manifest_for_sandbox(self) -> dict[str, Any] | None:
        """Return the manifest of the file that a sandbox gets; None if one has to be proposed."""
        if not self.is_described:
            return None
        converted = {"format": "safetensors"} if self.is_state_dict else {}
        return {**self.manifest, **converted}


@dataclass(frozen=True)
class References:
    """Which frozen set of images it is scored against."""

    id: int
    sha256: str
    image_size: int


@dataclass(frozen=True)
class Assignment:
    """One attempt at a submission: all that a worker has to know, whoever and wherever it is."""

    run: int
    submission: UUID
    attempt: int
    stage: Stage
    checkpoint: Checkpoint
    references: References
    pairs_public: bool
    recipe: Recipe
    extractors: Mapping[str, ExtractorPin]
    """The networks that measure, by role; a worker that has others refuses."""
    time_limit_s: float
    memory_bytes: int
    deadline_s: float
    """So long after its start an attempt that is still at it hangs."""
    first: int
    count: int
    """The pairs to make: ``count`` of them, in their order, from number ``first``."""
    shard: int | None = None
    """Where several workers make a run: which part this is. One without pairs puts together what
    the others have measured."""

    @property
    def puts_together(self) -> bool:
        return self.count == 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        written: dict[str, Any] = TypeAdapter(Assignment).dump_python(self, mode="json")
        return written

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: it is something else.
        """
        return TypeAdapter(cls).validate_python(data)


@dataclass
class Notes:
    """What a worker writes down on the way; handed in with whatever comes of the attempt."""

    steps: dict[str, float] = field(default_factory=dict)
    """Name of the step -> seconds."""
    versions: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    converted_sha256: str = ""


@dataclass(frozen=True)
class Picture:
    """What a generator made of a pair: the pixels that were scored, and a small copy."""

    png: bytes
    webp: bytes


@dataclass(frozen=True)
class FirstLook:
    """What a check shows the team: PNGs, ``style`` empty for a generator that takes none."""

    content: bytes
    style: bytes
    picture: bytes
    is_test_card: bool
    hints: list[dict[str, str]]
    measured: dict[str, int]
    """``parameters``; ``needed_bytes``, expected at least; ``peak_bytes``, measured."""


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    first: FirstLook
    proposal: Proposal | None
