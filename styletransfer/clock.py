"""Time the steps of a score, and count what there is to make it on."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from styletransfer.footprint import Account


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class StepClock:
    """Adds up the seconds of each step."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._steps: dict[str, float] = {}

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Count what runs inside towards a step."""
        started = time.perf_counter()
        yield
        self._steps[step] = self._steps.get(step, 0.0) + time.perf_counter() - started

    def report(self) -> dict[str, float]:
        """Return seconds by step, of the whole, and the process's peak memory so far."""
        return {
            **{f"{step}_s": seconds for step, seconds in self._steps.items()},
            "score_s": time.perf_counter() - self._wall,
            "score_cpu_s": time.process_time() - self._cpu,
            "peak_rss_bytes": Account().peak_bytes(),
        }
