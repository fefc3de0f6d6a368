"""The uploaded file as a sandbox takes it: unchanged, on this machine, and never a pickle."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.conf import settings

from evaluation.worker import sandboxes
from submissions.models import Submission


class CheckpointChanged(Exception):
    """The stored checkpoint is damaged or another one."""


def is_state_dict(submission: Submission) -> bool:
    return bool(submission.manifest["format"] == "state_dict")


def manifest_for_sandbox(submission: Submission) -> dict[str, Any] | None:
    """Return the manifest of the file that a sandbox gets; None if one has to be proposed."""
    if not submission.is_described:
        return None
    converted = {"format": "safetensors"} if is_state_dict(submission) else {}
    return {**submission.manifest, **converted}


@contextmanager
def local_copy(submission: Submission) -> Iterator[Path]:
    """Give the checkpoint as a file of this machine, wherever it is stored.

    Raises:
        CheckpointChanged: it is not what was uploaded; no participant is to blame for that.
    """
    try:
        path = Path(submission.checkpoint.path)
    except NotImplementedError:  # a storage without paths, such as S3
        path = None
    if path is not None:
        _require_unchanged("stored", _digest(path), submission.sha256)
        yield path
        return
    with NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
        digest = hashlib.sha256()
        with submission.checkpoint.open("rb") as file:
            for chunk in file.chunks():
                digest.update(chunk)
                copy.write(chunk)
        copy.flush()
        _require_unchanged("stored", digest.hexdigest(), submission.sha256)
        yield Path(copy.name)


@contextmanager
def converted_copy(
    submission: Submission, *, wall_s: float, should_stop: Callable[[], bool]
) -> Iterator[Path]:
    """Give the weights of a state dict as safetensors, converted in a sandbox of its own.

    Converted anew each time rather than stored: it takes seconds, always gives the same bytes, and
    leaves no second file to keep, count, move and delete with the first. The hash that the check
    has found holds all later ones to that.

    Raises:
        CheckpointRejected: there are no plain weights in it.
        CheckpointChanged: it gave other bytes than when it was checked.
    """
    with local_copy(submission) as path, NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as f:
        target = Path(f.name)
        sandboxes().convert(path, target, wall_s=wall_s, should_stop=should_stop)
        found = _digest(target)
        if submission.converted_sha256:
            _require_unchanged("converted", found, submission.converted_sha256)
        submission.converted_sha256 = found  # written with what comes of this attempt
        yield target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_unchanged(which: str, found: str, expected: str) -> None:
    if found != expected:
        raise CheckpointChanged(f"the {which} file has SHA-256 {found}, not {expected}")
