"""Sealed memory and the smallest promises of the values that go in."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.sandbox import GeneratorJob, Limits, memory


def test_a_sealed_file_holds_the_bytes_and_cannot_be_changed(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    path = tmp_path / "checkpoint"
    path.write_bytes(data)
    fd = memory.seal_file(path)
    assert os.pread(fd, len(data) + 1, 0) == data
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 10)
    with pytest.raises(PermissionError):
        mmap.mmap(fd, 0)
    os.close(fd)


def test_an_output_buffer_starts_as_nan_takes_values_and_keeps_its_size() -> None:
    fd = memory.unwritten_floats((2, 3))
    assert np.isnan(memory.copy_floats(fd, (2, 3), 1)).all()
    os.pwrite(fd, np.float32(7).tobytes(), 4)
    assert memory.copy_floats(fd, (2, 3), 0)[1] == 7
    for size in (4, 100):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)
    os.close(fd)


def test_pictures_of_another_type_or_shape_are_refused() -> None:
    good = np.zeros((2, 4, 4, 3), np.uint8)
    floats: Any = good.astype(np.float32)
    for contents, styles in (
        (floats, None),
        (good[0], None),
        (good[..., :1], None),
        (good[:0], None),
        (good, good[:1]),
    ):
        with pytest.raises(ValueError, match=r"must|at least"):
            GeneratorJob(Path("x"), {}, contents, styles)


def test_limits_that_mean_nothing_are_refused() -> None:
    for wall_s, memory_bytes, threads in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="out of range"):
            Limits(wall_s, memory_bytes, threads)
