"""Memory of statistics and of scoring, each in a process of its own."""

import json
from collections.abc import Iterator

import numpy as np

from scripts.bench import scorer
from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import run_python
from styletransfer.metrics.frechet import FeatureStatistics

FEW, MANY = 2000, 8000
PEAKS = {256: 1.2, 512: 1.3}


def measure(setting: Setting) -> Iterator[Row]:
    """Measure statistics, then scoring."""
    few, many = (
        json.loads(run_python(["-m", "scripts.bench.statistics_program", count]).output)
        for count in (FEW, MANY)
    )
    for key, what in (("held", "memory held"), ("peak", "peak, covariance taken")):
        text = f"statistics, N {FEW:,} to {MANY:,}: {what}"
        yield Row(text, many[key] - few[key], "MiB more", bar=at_most(5))
    yield measure_merge()
    for side, limit in PEAKS.items():
        pairs = setting.choose(4, quick=2)
        outputs = scorer.write_outputs(setting.folder / f"outputs-{side}", pairs, side)
        done = run_python(["-m", "scripts.bench.score_program", side, pairs, 1, outputs])
        text = f"scorer, {pairs} pairs of {side} x {side}, peak"
        yield Row(text, json.loads(done.output)["peak_mib"] / 1024, "GiB", bar=at_most(limit))


def measure_merge() -> Row:
    """Compare statistics merged from shards with those of one pass."""
    rng = np.random.default_rng(0)
    rows = rng.normal(3, 1, (3000, 256)).astype(np.float32)
    whole, merged = FeatureStatistics.from_features(rows), FeatureStatistics()
    for shard in np.array_split(rows, 7):
        merged.merge(FeatureStatistics.from_features(shard))
    scale = np.abs(whole.covariance).max()
    error = max(
        float(np.abs(merged.covariance - whole.covariance).max() / scale),
        float(np.abs(merged.mean - whole.mean).max() / np.abs(whole.mean).max()),
    )
    return Row("7 shards merged, relative difference to one pass", error, "", bar=at_most(1e-12))
