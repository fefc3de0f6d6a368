"""Where a worker gets what it needs for an attempt and hands in what it found."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from evaluation.assignment import Assignment, Checked, Notes, Picture
from evaluation.lease import Hold
from styletransfer.score_card import ScoreCard
from styletransfer.values import ReferenceImages


class Desk(Hold, Protocol):
    """One attempt's way to the platform.

    What is handed in counts only while the attempt holds its submission: each ``report`` says
    whether it did.
    """

    @property
    def assignment(self) -> Assignment:
        """What there is to do."""

    def open_checkpoint(self) -> AbstractContextManager[Path]:
        """Give the file that was entered, unchanged, on this machine.

        Raises:
            CheckpointChanged: it is not what was uploaded; no participant is to blame for that.
        """

    def load_references(self) -> ReferenceImages:
        """Give the images to score against; for a check, no more than the first pair's.

        Raises:
            ReferencesChanged: a pixel differs from what was frozen.
        """

    def load_discriminator(self) -> bytes | None:
        """Give the file of the recipe's discriminator, if it has one."""

    def report_check(self, notes: Notes, found: Checked) -> bool:
        """Hand in that the checkpoint loads and answers."""

    def report_scores(self, notes: Notes, card: ScoreCard, pictures: Sequence[Picture]) -> bool:
        """Hand in what was measured, and the pictures that it was measured on.

        Without pictures where they were handed in part by part.
        """

    def report_shard(self, notes: Notes, result: bytes, pictures: Sequence[Picture]) -> bool:
        """Hand in what was measured of a part of the pairs, as ``ShardResult.to_bytes`` has it."""

    def load_results(self) -> Sequence[bytes]:
        """Give what was measured of all parts, to put the score card together."""

    def report_refusal(self, notes: Notes, *, code: str, facts: Mapping[str, Any]) -> bool:
        """End the submission by the participant's fault."""

    def report_fault(self, notes: Notes, *, reason: str) -> bool:
        """Tell that the platform failed; it is tried again, nothing is charged."""

    def report_stopped(self, notes: Notes) -> None:
        """Close an attempt whose submission was cancelled or taken over."""

    def hand_back(self, notes: Notes) -> None:
        """Let another worker have the submission at once: this one was asked to end."""
