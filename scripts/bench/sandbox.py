"""What the sandbox costs: a warm one against the same work in this process."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from evaluation.demo.baselines import Baseline, identity_baseline, trained_baseline
from evaluation.demo.photos import content_images
from evaluation.sandbox import GeneratorJob, Limits, SandboxPool, SandboxUnavailable
from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import wall_seconds
from styletransfer.checkpoint import load_generator
from styletransfer.inference import stylise, to_pixels
from styletransfer.manifest import Manifest
from styletransfer.values import Image

LIMITS = Limits(wall_s=120, memory_bytes=2 << 30)
UNIT = "ms"


def measure(setting: Setting) -> Iterator[Row]:
    """Measure hand-over, check and full run; by the clock on the wall, medians."""
    images = [image.pixels for image in content_images()]
    try:
        with SandboxPool(size=1) as pool, tempfile.TemporaryDirectory() as folder:
            yield Row("a warm sandbox, first one", 1000 * wall_seconds(pool.wait_until_ready), UNIT)
            for baseline in (identity_baseline(), trained_baseline()):
                path = Path(folder) / baseline.filename
                path.write_bytes(baseline.checkpoint)
                yield from measure_baseline(setting, pool, path, baseline, images)
    except SandboxUnavailable as error:
        print(f"  no sandbox can be built here: {error.reason}", file=sys.stderr)


def measure_baseline(
    setting: Setting, pool: SandboxPool, path: Path, baseline: Baseline, images: list[Image]
) -> Iterator[Row]:
    """Measure one generator on one picture, as a check does, and on all."""
    for what, count in (("check, 1 picture", 1), (f"run, {len(images)} pictures", len(images))):
        chosen = images[:count]
        job = GeneratorJob(path, baseline.manifest, np.stack(chosen), None)
        inside, starts, bare = [], [], []
        for _ in range(setting.rounds):
            taken, start = run_inside(pool, job)
            inside.append(taken)
            starts.append(start)
            bare.append(wall_seconds(partial(run_bare, baseline, chosen)))
        name = f"{baseline.name}: {what}"
        sandboxed, alone = median(inside), median(bare)
        yield Row(f"{name}, in the sandbox", 1000 * sandboxed, UNIT, "bare", 1000 * alone)
        yield Row("  more than bare", 1000 * (sandboxed - alone), UNIT)
        if count == 1:
            yield Row("  job start", 1000 * median(starts), UNIT, bar=at_most(50))


def run_inside(pool: SandboxPool, job: GeneratorJob) -> tuple[float, float]:
    """Return the seconds of a job of one picture or more, and those before its generator began."""
    pool.wait_until_ready()
    seen: list[float] = []

    def note(_done: int, _of: int) -> None:
        seen.append(time.perf_counter())

    started = time.perf_counter()
    made = pool.run(job, LIMITS, on_progress=note)
    taken = time.perf_counter() - started
    # To the last picture, less loading and running: what was spent on handing over.
    return taken, seen[-1] - started - made.load_s - made.run_s


def run_bare(baseline: Baseline, images: list[Image]) -> list[Image]:
    """Load and run a generator in this process."""
    manifest = Manifest.model_validate_json(json.dumps(baseline.manifest))
    generator = load_generator(baseline.checkpoint, manifest)
    return [to_pixels(stylise(generator, image, None)) for image in images]
