"""The distance of two sets of features, without the network."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from scripts.bench.rows import Row, at_least, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import interleave
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.torchvision_compat import import_torchvision

COUNT, DIMENSIONS, MANY = 200, 2048, 5000
UNIT = "CPU s"


def measure(setting: Setting) -> Iterator[Row]:
    """Compare with matrix roots and eigenvalues, each as its own tool computes it."""
    import_torchvision()
    import torch
    from pytorch_fid import fid_score
    from torch_fidelity import metric_fid
    from torchmetrics.image import fid as torchmetrics_fid

    rng = np.random.default_rng(0)
    spread = np.arange(1, DIMENSIONS + 1) ** -0.5
    first, second = (
        (rng.normal(shift, 1, (COUNT, DIMENSIONS)) * spread).astype(np.float32)
        for shift in (0, 0.1)
    )
    moments = [
        (side.mean(axis=0, dtype=np.float64), np.cov(side, rowvar=False, dtype=np.float64))
        for side in (first, second)
    ]
    (mean, covariance), (other_mean, other_covariance) = moments
    tensors = [torch.from_numpy(part) for pair in moments for part in pair]
    sides = [{"mu": mu, "sigma": sigma} for mu, sigma in moments]
    found: dict[str, float] = {}

    def ours() -> None:
        statistics = (FeatureStatistics.from_features(side) for side in (first, second))
        found["ours"] = frechet_distance(*statistics)

    def sqrtm() -> None:
        found["scipy sqrtm"] = fid_score.calculate_frechet_distance(
            mean, covariance, other_mean, other_covariance
        )

    def eigvals() -> None:
        distance = metric_fid.fid_statistics_to_metric(*sides, verbose=False)
        found["eigvals, torch-fidelity"] = distance["frechet_inception_distance"]

    def torch_eigvals() -> None:
        found["eigvals, torchmetrics"] = float(torchmetrics_fid._compute_fid(*tensors))

    taken = interleave({"ours": ours}, 9)["ours"]
    size = f"{COUNT} against {COUNT}, d = {DIMENSIONS}"
    yield Row(f"Frechet step, {size}", taken, UNIT, bar=at_most(0.05))
    slow = {"eigvals, torch-fidelity": eigvals, "eigvals, torchmetrics": torch_eigvals}
    if not setting.is_quick:
        slow = {"scipy sqrtm": sqrtm} | slow
    for name, run in slow.items():
        limit = 1000 if name == "scipy sqrtm" else 200
        seconds = _once(run)
        yield Row(f"Frechet step, {size}", taken, UNIT, name, seconds, at_least(limit))
    for name in slow:
        difference = abs(found[name] / found["ours"] - 1)
        yield Row("  relative difference", difference, "", name, bar=at_most(1e-5))
    yield measure_full_rank(rng, first, spread)


def measure_full_rank(rng: np.random.Generator, outputs: np.ndarray, spread: np.ndarray) -> Row:
    """Compare with references that are more than their features have dimensions."""
    references = FeatureStatistics()
    for _ in range(MANY // 500):
        references.update((rng.normal(0, 1, (500, DIMENSIONS)) * spread).astype(np.float32))
    _ = references.factor  # computed once per reference set
    made = {"ours": lambda: frechet_distance(FeatureStatistics.from_features(outputs), references)}
    seconds = interleave(made, 3)["ours"]
    return Row(f"  {COUNT} against {MANY:,}, factor known", seconds, UNIT, bar=at_most(1.0))


def _once(run: Callable[[], object]) -> float:
    """Return the CPU seconds of one call, for what is too slow to be called often."""
    started = time.process_time()
    run()
    return time.process_time() - started
