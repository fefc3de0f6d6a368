"""Our metrics beside the packages that people know them from, on equal inputs."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scripts.bench import peers, pictures
from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from styletransfer.images import resize_bicubic
from styletransfer.inception import FidInception
from styletransfer.lpips import Lpips
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.metrics.structure import ssim
from styletransfer.surrogate_weights import make_weights
from styletransfer.surrogates import LPIPS
from styletransfer.torchvision_compat import import_torchvision
from styletransfer.vgg import to_batch

Rows = NDArray[np.float64]

SUBSETS, SUBSET, SEED = 10, 40, 2020


def measure(setting: Setting) -> Iterator[Row]:
    """Compare one metric after the other."""
    yield Row("ssim, difference", ssim_difference(), "", "scikit-image", bar=at_most(1e-12))
    yield Row("lpips, relative difference", lpips_difference(), "", "lpips", bar=at_most(1e-6))
    kid = kid_difference(*make_features())
    yield Row("kid, the same subsets, relative", kid, "", "torch-fidelity", bar=at_most(1e-12))
    near = mifid_difference(*make_features(nearby=True))
    yield Row("mifid of near copies, relative", near, "", "torchmetrics", bar=at_most(1e-9))
    far = mifid_difference(*make_features())
    yield Row("mifid of others, relative", far, "", "torchmetrics", bar=at_most(1e-9))
    resized = resize_difference()
    yield Row("clean resizing, of 255", resized, "", "clean-fid", bar=at_most(1e-3))
    features = clean_features_difference(setting)
    yield Row("clean features, rel. L2", features, "", "clean-fid", bar=at_most(1e-4))


def make_features(*, nearby: bool = False) -> tuple[Rows, Rows]:
    """Draw features of outputs and of references, all positive as Inception's are.

    More of them than dimensions: eigenvalues, as others take them, lose half of their digits else.
    """
    rng = np.random.default_rng(0)
    references = rng.gamma(0.3, 1, (90, 32))
    outputs = rng.gamma(0.4, 1, (60, 32))
    if nearby:
        outputs = references[:60] + 0.02 * outputs
    return outputs, references


def ssim_difference() -> float:
    """Compare with scikit-image's Gaussian window over the part where it fits."""
    from skimage.metrics import structural_similarity

    one, other = (pictures.make(seed, 64) for seed in (1, 2))
    other = ((one.astype(np.int64) * 3 + other) // 4).astype(np.uint8)
    a, b = (image.astype(np.float64) / 255 for image in (one, other))
    _, whole = structural_similarity(  # type: ignore[no-untyped-call]
        a,
        b,
        channel_axis=2,
        data_range=1.0,
        full=True,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    expected = float(whole[5:-5, 5:-5].mean())
    batches = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (a, b))
    return abs(ssim(*batches).item() - expected)


def open_lpips(weights: dict[str, torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return the package's network on our weights."""
    import_torchvision()
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer: Any = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False)
    own = {name: value for name, value in weights.items() if name.startswith("lin")}
    peer.load_state_dict(own, strict=False)
    convolutions = [layer for layer in peer.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    names = [name for name in weights if name.startswith("features") and name.endswith("weight")]
    for layer, name in zip(convolutions, names, strict=True):
        bias = weights[name.replace("weight", "bias")]
        layer.load_state_dict({"weight": weights[name], "bias": bias})
    return peer.eval()  # type: ignore[no-any-return]


def lpips_difference() -> float:
    """Compare on the same weights, with images in 0..1 on both sides."""
    weights = {key: torch.from_numpy(array) for key, array in make_weights(LPIPS).items()}
    peer, ours = open_lpips(weights), Lpips()
    ours.load_published(weights)
    a, b = (to_batch([pictures.make(seed)]) for seed in (3, 4))
    with torch.inference_mode():
        expected = peer(a, b, normalize=True).item()
    return float(abs(ours(a, b).item() / expected - 1))


def kid_difference(outputs: Rows, references: Rows) -> float:
    """Compare the mean over the subsets that torch-fidelity draws."""
    import_torchvision()
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    expected = kid_features_to_metric(
        torch.from_numpy(outputs),
        torch.from_numpy(references),
        kid_subsets=SUBSETS,
        kid_subset_size=SUBSET,
        rng_seed=SEED,
        verbose=False,
    )[KEY_METRIC_KID_MEAN]
    draw = np.random.RandomState(SEED)  # as it draws
    found = []
    for _ in range(SUBSETS):
        rows = draw.choice(len(outputs), SUBSET, replace=False)
        others = draw.choice(len(references), SUBSET, replace=False)
        found.append(kernel_distance(outputs[rows], references[others]))
    return abs(float(np.mean(found)) / float(expected) - 1)


def mifid_difference(outputs: Rows, references: Rows) -> float:
    """Compare with torchmetrics, which averages over the set that it calls real: hence swapped."""
    import_torchvision()
    from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance

    class Given(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features

    peer = MemorizationInformedFrechetInceptionDistance(feature=Given())
    peer.update(torch.from_numpy(outputs), real=True)
    peer.update(torch.from_numpy(references), real=False)
    expected = float(peer.compute())
    return abs(mifid(outputs, references) / expected - 1)


def resize_difference() -> float:
    """Compare enlarging and shrinking with clean-fid's."""
    import_torchvision()
    from cleanfid.resize import build_resizer

    resize = build_resizer("clean")
    images = [pictures.make(5, side) for side in (256, 512)]
    return max(
        float(np.abs(resize_bicubic(image, side=299) - resize(image)).max()) for image in images
    )


def clean_features_difference(setting: Setting) -> float:
    """Compare features with those of clean-fid's own preparation and network loader."""
    images = [pictures.make(seed) for seed in (6, 7)]
    expected = peers.open_peers(setting.weights)["clean-fid"].features(images)
    network = FidInception(peers.inception_weights())
    found = network.clean_features(images).numpy()
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
