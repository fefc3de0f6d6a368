"""Write a result as a whole or not at all, and find out beforehand that it can be written."""

import os
from pathlib import Path

from styletransfer.errors import StyleTransferError


class NotWritable(StyleTransferError):
    """A result can't be written where it was asked for."""


def require_writable(path: Path) -> None:
    """Make sure, before any work is done, that a file can be written.

    Raises:
        NotWritable: with the reason.
    """
    folder = path.parent
    if path.is_dir():
        raise NotWritable(f"{path} is a folder: name a file to write to")
    if not folder.is_dir():
        raise NotWritable(f"{folder} is not a folder: make it first, or write elsewhere")
    draft = _draft_of(path)
    try:
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise NotWritable(f"{path} can't be written ({error.strerror}): write elsewhere") from error


def require_new(path: Path, *, force: bool) -> None:
    """Make sure that a file can be written and that nothing is lost by it.

    Raises:
        NotWritable: with the reason.
    """
    require_writable(path)
    if path.exists() and not force:
        raise NotWritable(f"{path} is there already: write elsewhere, or add --force to replace it")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text or bytes; a file that is there is replaced as a whole or not at all."""
    draft = _draft_of(path)
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")
