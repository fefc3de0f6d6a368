"""Every golden file, its formulas in float64 and from float32 features."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import ROOT
from styletransfer.errors import MetricInputError
from styletransfer.images import resize_bicubic
from styletransfer.metrics.adversarial import discriminator_loss, generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_frechet, bootstrap_mean
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.perceptual import artfid, lpips_from_features
from styletransfer.metrics.structure import cfsd, ssim
from styletransfer.metrics.style import gram_matrix, style_layer_loss, style_loss

FOLDER = ROOT / "tests" / "styletransfer" / "golden"
# A set of mean 1000 and deviation 0.01 keeps fewer digits in any arithmetic of 64 bits.
BIG_OFFSET = "fid_big_offset"
# Pillow's own float32 arithmetic, which no formula in float64 stands behind.
RESIZED = "clean_resize"

Golden = Mapping[str, Any]
Errors = Iterator[float]


def measure(setting: Setting) -> Iterator[Row]:
    """Compare every file; nothing is left out without being counted."""
    files = sorted(FOLDER.glob("*.npz"))
    refused = [path.stem for path in files if path.stem.endswith("_must_fail")]
    apart = {BIG_OFFSET, RESIZED, *refused}
    common = [path.stem for path in files if path.stem not in apart]
    for dtype, limit in ((torch.float64, 1e-10), (torch.float32, 1e-6)):
        worst = {name: worst_error(name, dtype) for name in common}
        name = max(worst, key=lambda name: worst[name])
        what = f"{len(common)} golden files, {str(dtype)[6:]} input, worst: {name}"
        yield Row(what, worst[name], "of scale", bar=at_most(limit))
    error = worst_error(BIG_OFFSET, torch.float64)
    yield Row(f"{BIG_OFFSET} (mean 1000, deviation 0.01)", error, "of scale", bar=at_most(1e-9))
    yield Row(f"{RESIZED}, of 255", worst_error(RESIZED, torch.float32), "", bar=at_most(1e-3))
    missed = [name for name in refused if not is_refused(load(name))]
    what = f"{len(refused)} files that must be refused, taken all the same"
    yield Row(what, len(missed), "files", bar=at_most(0))


def load(name: str) -> Golden:
    """Read one file."""
    with np.load(Path(FOLDER / f"{name}.npz")) as file:
        return dict(file)


def worst_error(name: str, dtype: torch.dtype) -> float:
    """Return the largest error of a file, relative to the scale of what is expected."""
    family = next(prefix for prefix in FAMILIES if name.startswith(prefix))
    return max(FAMILIES[family](load(name), dtype))


def is_refused(golden: Golden) -> bool:
    """Tell whether the distance of two sets that have none ends in an error of its own type."""
    try:
        frechet_distance(*(FeatureStatistics.from_features(golden[side]) for side in "XY"))
    except MetricInputError:
        return True
    return False


def relative(found: Any, expected: Any) -> float:
    """Return the largest difference over the largest expected value."""
    difference = float(np.abs(np.asarray(found) - np.asarray(expected)).max())
    scale = float(np.abs(np.asarray(expected)).max())
    return difference / scale if scale else difference


def _maps(golden: Golden, letter: str, dtype: torch.dtype) -> list[Tensor]:
    names = sorted(key for key in golden if key[0] == letter and key[1:].isdigit())
    return [_batch(golden[name], dtype) for name in names]


def _batch(array: Any, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(array)[None].to(dtype)


def _gatys(golden: Golden, dtype: torch.dtype) -> Errors:
    outputs, styles = _maps(golden, "G", dtype), _maps(golden, "S", dtype)
    weights = np.atleast_1d(golden["weights"]).tolist()
    yield relative(style_loss(outputs, styles, weights).item(), golden["exp_style"])
    for layer, (output, style) in enumerate(zip(outputs, styles, strict=True)):
        if "exp_E" in golden:
            yield relative(style_layer_loss(output, style).item(), golden["exp_E"][layer])
        if f"exp_content{layer}" in golden:
            expected = golden[f"exp_content{layer}"]
            yield relative(content_loss(output, style).item(), expected)
        for letter, maps in (("G", output), ("S", style)):
            if f"exp_gram_{letter}{layer}" in golden:
                expected = golden[f"exp_gram_{letter}{layer}"]
                yield relative(gram_matrix(maps)[0].numpy(), expected)
    if "G0_perm" in golden:
        shuffled = _batch(golden["G0_perm"], dtype)
        yield relative(style_loss([shuffled], styles).item(), golden["exp_style_perm"])
        yield relative(content_loss(shuffled, styles[0]).item(), golden["exp_content_perm"])
        yield relative(content_loss(outputs[0], styles[0]).item(), golden["exp_content"])


def _lsgan(golden: Golden, dtype: torch.dtype) -> Errors:
    real, fake = (torch.from_numpy(golden[key]).to(dtype) for key in ("d_real", "d_fake"))
    # The files halve both losses, as Mao et al. do; ours are not halved.
    yield relative(generator_loss(fake).mean().item(), 2 * golden["exp_g"])
    yield relative(discriminator_loss(real, fake).item(), 2 * golden["exp_d"])
    if "exp_g_per_image" in golden:
        yield relative(generator_loss(fake).numpy(), 2 * golden["exp_g_per_image"])


def _features(golden: Golden, dtype: torch.dtype) -> list[Any]:
    kind = np.float64 if dtype is torch.float64 else np.float32
    return [golden[side].astype(kind) for side in "XY" if side in golden]


def _fid(golden: Golden, dtype: torch.dtype) -> Errors:
    sides = [FeatureStatistics.from_features(rows) for rows in _features(golden, dtype)]
    scale = float(golden["exp_scale"])
    yield abs(frechet_distance(*sides) - float(golden["exp_fid"])) / scale
    yield abs(frechet_distance(*sides[::-1]) - float(golden["exp_fid"])) / scale
    for letter, side in zip("xy", sides, strict=True):
        yield relative(side.mean, golden[f"exp_mu_{letter}"])
        yield float(np.abs(side.covariance - golden[f"exp_cov_{letter}"]).max()) / scale


def _stats(golden: Golden, dtype: torch.dtype) -> Errors:
    (rows,) = _features(golden, dtype)
    for kept_rows in (0, 2048):
        statistics = FeatureStatistics(kept_rows=kept_rows)
        for block in np.split(rows, golden["cuts"]):
            statistics.update(block)
        yield relative(statistics.mean, golden["exp_mu"])
        yield relative(statistics.covariance, golden["exp_cov"])


def _kid(golden: Golden, dtype: torch.dtype) -> Errors:
    x, y = _features(golden, dtype)
    yield relative(kernel_distance(x, y), golden["exp_full"])
    yield relative(kernel_distance(x, x), golden["exp_same_full"])
    subsets = zip(golden["ix"], golden["iy"], strict=True)
    found = [kernel_distance(x[rows], y[others]) for rows, others in subsets]
    yield relative(found, golden["exp_subset_values"])
    yield relative(np.mean(found), golden["exp_subset_mean"])
    yield relative(np.std(found), golden["exp_subset_std"])


def _bootstrap_mean(golden: Golden, _dtype: torch.dtype) -> Errors:
    level = float(golden["level"])
    found = bootstrap_mean(golden["scores"], indices=golden["idx"], level=level)
    yield relative(found, [golden[key] for key in ("exp_mean", "exp_lo", "exp_hi")])


def _bootstrap_fid(golden: Golden, dtype: torch.dtype) -> Errors:
    sides = [FeatureStatistics.from_features(rows) for rows in _features(golden, dtype)]
    found = bootstrap_frechet(*sides, indices=golden["idx"], level=float(golden["level"]))
    yield relative(found, [golden[key] for key in ("exp_fid", "exp_lo", "exp_hi")])


def _lpips(golden: Golden, dtype: torch.dtype) -> Errors:
    a, b = _maps(golden, "a", dtype), _maps(golden, "b", dtype)
    lins = [torch.from_numpy(golden[f"lin{layer}"]) for layer in range(3)]
    yield relative(lpips_from_features(a, b, lins).item(), golden["exp_lpips"])
    yield relative(lpips_from_features(a, a, lins).item(), golden["exp_self"])
    layers = zip(a, b, lins, strict=True)
    alone = [lpips_from_features([x], [y], [lin]).item() for x, y, lin in layers]
    yield relative(alone, golden["exp_per_layer"])


def _cfsd(golden: Golden, dtype: torch.dtype) -> Errors:
    content, output = (_batch(golden[key], dtype) for key in ("content", "stylised"))
    yield relative(cfsd(content, output).item(), golden["exp_cfsd"])
    yield relative(cfsd(content, content).item(), golden["exp_self"])


def _ssim(golden: Golden, dtype: torch.dtype) -> Errors:
    x, y = (_batch(golden[key], dtype) for key in "xy")
    yield relative(ssim(x, y).item(), golden["exp_ssim"])
    yield relative(ssim(x, x).item(), golden["exp_self"])


def _artfid(golden: Golden, _dtype: torch.dtype) -> Errors:
    rows = zip(golden["lpips"], golden["fid"], strict=True)
    yield relative([artfid(*row) for row in rows], golden["exp_artfid"])


def _clean_resize(golden: Golden, _dtype: torch.dtype) -> Errors:
    rng = np.random.default_rng(int(golden["seed"]))
    for side, name in zip(golden["sides"], ("exp_small", "exp_large"), strict=True):
        image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        found = resize_bicubic(image, side=299)[::23, ::23]
        yield float(np.abs(found - golden[name]).max())


# By the beginning of a file's name; a file of no family is an error.
FAMILIES: Mapping[str, Callable[[Golden, torch.dtype], Errors]] = {
    "gatys": _gatys,
    "lsgan": _lsgan,
    "fid": _fid,
    "stats": _stats,
    "kid": _kid,
    "bootstrap_mean": _bootstrap_mean,
    "bootstrap_fid": _bootstrap_fid,
    "lpips": _lpips,
    "cfsd": _cfsd,
    "ssim": _ssim,
    "artfid": _artfid,
    "clean_resize": _clean_resize,
}
