"""Measure this machine: scoring and the sandbox always, pages where a platform is running.

Run by ``make bench``. One thread, as an evaluation worker has; the median of several tries.
"""

import http.client
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from evaluation.demo.baselines import identity_baseline, trained_baseline
from evaluation.demo.photos import content_images
from evaluation.sandbox import GeneratorJob, Limits, SandboxPool
from styletransfer.determinism import make_deterministic
from styletransfer.pinned import open_inception, open_vgg
from styletransfer.pretrained import extractor_pin
from styletransfer.references import look
from styletransfer.values import Recipe
from styletransfer.vgg import to_batch

TRIES, PAGE_TRIES, PICTURES = 5, 200, 8
LIMITS = Limits(wall_s=120, memory_bytes=2 << 30)
PAGES = ("/", "/competitions/photo-to-painting/", "/api/v1/competitions/", "/static/site.css")


def main() -> None:
    make_deterministic(1)
    print("Scoring, one 256 x 256 picture, one thread")
    measure_extractors()
    print(f"\nSandbox, {PICTURES} pictures of 256 x 256")
    measure_sandbox()
    port = int(os.environ.get("PORT") or 8000)
    print(f"\nPages, one connection to 127.0.0.1:{port}")
    measure_pages(port)


def report(what: str, seconds: float, note: str = "") -> None:
    print(f"  {what:<44}{seconds * 1000:>9.1f} ms  {note}", flush=True)


def median(action: Callable[[], object], tries: int = TRIES) -> float:
    action()  # the first one pays for what is made on first use
    return statistics.median(seconds(action) for _ in range(tries))


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure_extractors() -> None:
    recipe = Recipe()
    batch = to_batch([content_images()[0].pixels])
    vgg = open_vgg(extractor_pin("vgg19-surrogate-1"), recipe, None)
    inception = open_inception(extractor_pin("inception-surrogate-1"), None)
    with torch.inference_mode():
        report("VGG-19: content and style features", median(lambda: look(vgg, recipe, batch)))
        report("Inception: FID features", median(lambda: inception(batch)))


def measure_sandbox() -> None:
    contents = np.stack([image.pixels for image in content_images()[:PICTURES]])
    with SandboxPool(size=1) as pool, tempfile.TemporaryDirectory() as folder:
        report("a warm one ready, first time", seconds(pool.wait_until_ready))
        for baseline in (identity_baseline(), trained_baseline()):
            path = Path(folder) / baseline.filename
            path.write_bytes(baseline.checkpoint)
            pool.wait_until_ready()
            start = time.perf_counter()
            made = pool.run(GeneratorJob(path, baseline.manifest, contents, None), LIMITS)
            run = f"load {made.load_s * 1000:.0f} ms, pictures {made.run_s * 1000:.0f} ms"
            report(baseline.name, time.perf_counter() - start, run)


def measure_pages(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(path: str) -> int:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    for path in PAGES:
        try:
            status = get(path)
        except OSError:
            print("  nothing answers there: start `make demo` in another terminal first")
            return
        if status != 200:
            print(f"  {path:<44}status {status}")
            continue
        times = sorted(seconds(partial(get, path)) for _ in range(PAGE_TRIES))
        report(path, statistics.median(times), f"99 of 100 within {times[-3] * 1000:.1f} ms")


if __name__ == "__main__":
    main()
