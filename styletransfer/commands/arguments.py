"""Kinds of command line arguments, and what is found out about them before any work is done."""

import argparse
from pathlib import Path

from styletransfer.errors import StyleTransferError


class NotThere(StyleTransferError):
    """A file or a folder that a command was given is not there."""


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def whole(text: str) -> int:
    """Read a whole number from 0 on."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Read a size, ``256`` or ``320x240``, width first; return (height, width)."""
    width, _, height = text.partition("x")
    return positive(height or width), positive(width)


def require_file(path: Path) -> None:
    """Make sure that a file is there.

    Raises:
        NotThere: with what is there instead.
    """
    if path.is_dir():
        raise NotThere(f"{path} is a folder: name a file")
    if not path.exists():
        raise NotThere(f"{path}: there is no such file")
