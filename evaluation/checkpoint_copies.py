"""The entered file as a sandbox takes it: unchanged and never a pickle; free of Django."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from evaluation.assignment import Notes
from evaluation.workplace import Workplace


class CheckpointChanged(Exception):
    """The stored checkpoint is damaged or another one."""


@contextmanager
def converted_copy(
    source: Path,
    notes: Notes,
    place: Workplace,
    *,
    wall_s: float,
    should_stop: Callable[[], bool],
) -> Iterator[Path]:
    """Give the weights of a state dict as safetensors, converted in a sandbox of its own.

    Converted anew each time rather than stored: it takes seconds, always gives the same bytes, and
    leaves no second file to keep, count, move and delete with the first. The hash that the check
    has found holds all later ones to that.

    Raises:
        CheckpointRejected: there are no plain weights in it.
        CheckpointChanged: it gave other bytes than when it was checked.
    """
    with NamedTemporaryFile(dir=place.temporary) as file:
        target = Path(file.name)
        place.sandboxes().convert(source, target, wall_s=wall_s, should_stop=should_stop)
        found = hash_file(target)
        if notes.converted_sha256:
            require_unchanged("converted", found, notes.converted_sha256)
        notes.converted_sha256 = found
        yield target


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_unchanged(which: str, found: str, expected: str) -> None:
    """Compare two hashes.

    Raises:
        CheckpointChanged: they differ.
    """
    if found != expected:
        raise CheckpointChanged(f"the {which} file has SHA-256 {found}, not {expected}")
