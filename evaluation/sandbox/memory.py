"""Anonymous files whose contents or size nobody can change any more.

No path crosses the wall of the sandbox: it gets descriptors of these instead.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FIXED_SIZE = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_READ_ONLY = _FIXED_SIZE | fcntl.F_SEAL_WRITE
_FLOAT_BYTES = 4
_COPY_BYTES = 1 << 24


def seal_file(path: Path) -> int:
    """Copy a file into sealed memory; the caller closes the descriptor."""
    with path.open("rb") as source:
        return _filled(lambda fd: _copy(source.fileno(), fd))


def seal_array(array: NDArray[np.uint8]) -> int:
    """Copy an array into sealed memory; the caller closes the descriptor."""
    view = np.ascontiguousarray(array).data.cast("B")
    return _filled(lambda fd: _write(fd, view))


def unwritten_floats(shape: tuple[int, ...]) -> int:
    """Make a writable float32 buffer of a fixed size, full of NaN; the caller closes it.

    NaN, because a runner that claims success without writing must not pass as a black picture.
    """
    fd = os.memfd_create("output", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, int(np.prod(shape)) * _FLOAT_BYTES)
        with mmap.mmap(fd, 0) as mapped:
            floats = np.frombuffer(mapped, np.float32)
            floats.fill(np.nan)
            del floats  # a mapping with a living view can't be closed
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _FIXED_SIZE)
    except BaseException:
        os.close(fd)
        raise
    return fd


def empty_bytes(size: int) -> int:
    """Make a writable buffer of a fixed size; the caller closes it."""
    fd = os.memfd_create("output", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _FIXED_SIZE)
    except BaseException:
        os.close(fd)
        raise
    return fd


def write_file(fd: int, size: int, path: Path) -> None:
    """Write the first ``size`` bytes of a buffer to a file."""
    with path.open("wb") as target:
        position = 0
        while position < size:
            position += os.sendfile(
                target.fileno(), fd, position, min(_COPY_BYTES, size - position)
            )


def copy_floats(fd: int, shape: tuple[int, ...], number: int) -> NDArray[np.float32]:
    """Copy element ``number`` of a buffer of ``shape``.

    What is checked is the copy: whoever shares the buffer may write to it all the same.
    """
    size = math.prod(shape[1:]) * _FLOAT_BYTES
    data = bytearray()
    while len(data) < size:
        piece = os.pread(fd, size - len(data), number * size + len(data))
        if not piece:
            raise ValueError(f"the buffer ends before element {number}")
        data += piece
    return np.frombuffer(data, np.float32).reshape(shape[1:])


def _filled(fill: Callable[[int], None]) -> int:
    fd = os.memfd_create("input", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        fill(fd)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _READ_ONLY)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _copy(source: int, target: int) -> None:
    while os.sendfile(target, source, None, _COPY_BYTES):
        pass


def _write(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]
