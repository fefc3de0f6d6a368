"""Take statistics of ``COUNT`` features in batches and print how much memory that took, in MiB.

What the process holds then, and its peak with the covariance taken.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np

from styletransfer.metrics.frechet import FeatureStatistics

DIMENSIONS, BATCH = 2048, 50


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1])
    rng = np.random.default_rng(0)
    statistics = FeatureStatistics()
    for _ in range(count // BATCH):
        statistics.update(rng.standard_normal((BATCH, DIMENSIONS), dtype=np.float32))
    held = resident()
    _ = statistics.covariance
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"held": held, "peak": peak}))


def resident() -> float:
    """Return the memory that this process holds, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
