"""Honest and faulty generators in real sandboxes, with torch and onnxruntime inside."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from evaluation.sandbox import GeneratorJob, Limits, SandboxPool, SandboxStopped
from evaluation.sandbox.values import Pixels
from styletransfer.errors import CheckpointRejected
from styletransfer.making import measure_making
from tests.evaluation.sandbox import graphs

LIMITS = Limits(wall_s=60, memory_bytes=1 << 30)


def large_pictures(count: int = 1) -> Pixels:
    return np.full((count, 256, 256, 3), 128, np.uint8)


def refused(pool: SandboxPool, job: GeneratorJob, limits: Limits = LIMITS) -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        pool.run(job, limits)
    return caught.value


def test_identity_gives_back_every_pixel_and_reports_each_picture(
    pool: SandboxPool, tmp_path: Path, pixels: Pixels
) -> None:
    seen: list[tuple[int, int]] = []
    job = GeneratorJob(graphs.identity(tmp_path / "g.onnx"), graphs.manifest(), pixels, None)
    result = pool.run(job, LIMITS, on_progress=lambda done, of: seen.append((done, of)))
    assert np.array_equal(result.outputs, pixels)
    assert seen == [(1, 2), (2, 2)]
    assert result.load_s > 0
    assert result.run_s > 0
    assert len(result.picture_s) == 2
    assert 0 < sum(result.picture_s) < 60
    assert result.parameters == 0
    assert 0 <= result.memory_bytes <= LIMITS.memory_bytes


def test_weights_and_memory_are_counted(pool: SandboxPool, tmp_path: Path) -> None:
    path = graphs.convolutions(tmp_path / "g.onnx", channels=64, kernel=3, layers=2)
    pixels = large_pictures(3)
    made = pool.run(GeneratorJob(path, graphs.manifest(), pixels, None), LIMITS)
    assert made.parameters == count_weights(path)
    # One map of the first layer alone takes 16 MiB.
    assert 16 << 20 < made.memory_bytes < LIMITS.memory_bytes
    measured = measure_making([made.making])
    assert measured["parameters"] == made.parameters
    assert measured["peak_memory"] == made.memory_bytes
    assert measured["ms_per_image"] == pytest.approx(1000 * sum(made.picture_s[1:]) / 2, abs=1e-3)


def count_weights(path: Path) -> int:
    model = onnx.load(path)
    return sum(math.prod(tensor.dims) for tensor in model.graph.initializer)


def test_two_inputs_reach_the_right_names_and_halves_are_rounded_to_even(
    pool: SandboxPool, tmp_path: Path, pixels: Pixels
) -> None:
    styles = pixels[::-1].copy()
    path = graphs.mean_of_two(tmp_path / "g.onnx")
    job = GeneratorJob(path, graphs.manifest("content", "style"), pixels, styles)
    outputs = pool.run(job, LIMITS).outputs
    assert np.array_equal(outputs, np.rint((pixels.astype(np.float64) + styles) / 2))


def test_nan_pixels_are_refused(pool: SandboxPool, tmp_path: Path, pixels: Pixels) -> None:
    path = graphs.divide_by_zero(tmp_path / "g.onnx")
    error = refused(pool, GeneratorJob(path, graphs.manifest(), pixels, None))
    assert error.code == "non_finite_output"


def test_a_slow_generator_is_killed_at_the_wall_clock(pool: SandboxPool, tmp_path: Path) -> None:
    path = graphs.convolutions(tmp_path / "g.onnx", channels=64, kernel=15, layers=4)
    job = GeneratorJob(path, graphs.manifest(), large_pictures(3), None)
    pool.wait_until_ready()
    error = refused(pool, job, Limits(wall_s=1.5, memory_bytes=1 << 30))
    assert (error.code, error.facts["limit_s"]) == ("too_slow", 1.5)


def test_a_generator_that_needs_too_much_memory_is_refused(
    pool: SandboxPool, tmp_path: Path
) -> None:
    path = graphs.convolutions(tmp_path / "g.onnx", channels=4096, kernel=1, layers=0)
    job = GeneratorJob(path, graphs.manifest(), large_pictures(), None)
    error = refused(pool, job, Limits(wall_s=60, memory_bytes=256 << 20))
    assert (error.code, error.facts["limit_bytes"]) == ("too_much_memory", 256 << 20)
    # So near to what it needs at least that it is tried.
    needed = error.facts["needed_bytes"]
    assert isinstance(needed, int)
    tight = needed - (32 << 20)
    error = refused(pool, job, Limits(wall_s=60, memory_bytes=tight))
    assert (error.code, error.facts) == ("out_of_memory", {"limit_bytes": tight})


def test_a_truncated_file_is_refused(pool: SandboxPool, tmp_path: Path, pixels: Pixels) -> None:
    path = graphs.convolutions(tmp_path / "g.onnx", channels=16, kernel=3)
    path.write_bytes(path.read_bytes()[:-100])
    error = refused(pool, GeneratorJob(path, graphs.manifest(), pixels, None))
    assert error.code in {"corrupt_file", "onnx_refused"}


def test_an_empty_file_is_refused(pool: SandboxPool, tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    error = refused(pool, GeneratorJob(path, graphs.manifest(), pixels, None))
    assert error.code == "empty_file"


def test_wrong_weights_are_named(pool: SandboxPool, tmp_path: Path, pixels: Pixels) -> None:
    header = {"conv9.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    path = tmp_path / "g.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0\0\0")
    manifest = graphs.manifest() | {"format": "safetensors", "architecture": "transformer_net"}
    manifest["size"] = {"multiple_of": 4}
    error = refused(pool, GeneratorJob(path, manifest, pixels, None))
    assert error.code == "wrong_keys"
    assert error.facts["unexpected"] == ["conv9.weight"]


def test_a_run_can_be_stopped(pool: SandboxPool, tmp_path: Path) -> None:
    path = graphs.convolutions(tmp_path / "g.onnx", channels=64, kernel=15, layers=4)
    job = GeneratorJob(path, graphs.manifest(), large_pictures(3), None)
    answers = iter([False, False, False, True])
    with pytest.raises(SandboxStopped):
        pool.run(job, LIMITS, should_stop=lambda: next(answers))


def test_every_format_gives_the_same_bits_behind_the_filters_as_without(
    pool: SandboxPool, tmp_path: Path, pixels: Pixels
) -> None:
    from styletransfer.checkpoint import load_generator
    from styletransfer.inference import stylise, to_pixels
    from styletransfer.warm_samples import honest_samples

    torch.set_num_threads(1)
    styles = pixels[::-1].copy()
    # One of every kind: the samples repeat the architectures in other number formats.
    kinds = {manifest.canonical_json(): (data, manifest) for data, manifest in honest_samples()}
    for data, manifest in kinds.values():
        generator = load_generator(data, manifest)
        path = tmp_path / "checkpoint"
        path.write_bytes(data)
        job = GeneratorJob(path, manifest.model_dump(mode="json"), pixels, styles)
        pairs = zip(pixels, styles, strict=True)
        outside = [to_pixels(stylise(generator, *pair)) for pair in pairs]
        assert np.array_equal(pool.run(job, LIMITS).outputs, outside)


def test_each_picture_is_handed_on_while_the_next_one_is_made(
    pool: SandboxPool, tmp_path: Path, pixels: Pixels
) -> None:
    log: list[str] = []
    job = GeneratorJob(graphs.identity(tmp_path / "g.onnx"), graphs.manifest(), pixels, None)
    given: list[Pixels] = []

    def take(picture: Pixels) -> None:
        given.append(picture)
        log.append("picture")

    made = pool.run(
        job, LIMITS, on_picture=take, on_progress=lambda done, of: log.append(f"{done} done")
    )
    assert log == ["picture", "1 done", "picture", "2 done"]
    assert np.array_equal(np.stack(given), made.outputs)
    assert np.array_equal(made.outputs, pixels)
