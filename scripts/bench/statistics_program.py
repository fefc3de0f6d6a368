"""Take statistics of ``COUNT`` features in batches and print how much memory that took, in MiB.

What the process holds then, and its peak with the covariance taken.
"""

import json
import sys

import numpy as np

from scripts.bench.process_memory import held_mib, peak_mib
from styletransfer.metrics.frechet import FeatureStatistics

DIMENSIONS, BATCH = 2048, 50


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1])
    rng = np.random.default_rng(0)
    statistics = FeatureStatistics()
    for _ in range(count // BATCH):
        statistics.update(rng.standard_normal((BATCH, DIMENSIONS), dtype=np.float32))
    held = held_mib()
    _ = statistics.covariance
    print(json.dumps({"held": held, "peak": peak_mib()}))


if __name__ == "__main__":
    main()
