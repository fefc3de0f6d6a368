"""The Inception networks of other tools, each as its users run it, all on the same weights.

None of them downloads anything: where they look for their published files they find ours.
"""

import contextlib
import importlib.metadata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styletransfer.surrogate_weights import make_weights
from styletransfer.surrogates import INCEPTION
from styletransfer.torchvision_compat import import_torchvision
from styletransfer.values import Image

Rows = NDArray[np.float64]

PACKAGES = ("pytorch-fid", "torch-fidelity", "torchmetrics", "clean-fid", "lpips", "scikit-image")
CLEAN_FILE = "inception-2015-12-05.pt"
_BATCH_NORM = 0.1


def versions() -> dict[str, str]:
    """Name the peers' versions."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def inception_weights(*, seed: int | None = None) -> dict[str, Tensor]:
    """Return weights for every tool's Inception network, under the published names.

    The surrogate's; with a ``seed``, their batch normalisation is made to matter, which the
    surrogate's own, equal to the identity, does not.
    """
    weights = {key: torch.from_numpy(array) for key, array in make_weights(INCEPTION).items()}
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        for key, value in weights.items():
            if ".bn." in key:
                change = torch.randn(value.shape, generator=generator) * _BATCH_NORM
                # A deviation of zero would divide by nothing.
                weights[key] = (value + change).clamp(min=0.5 if "var" in key else -9.0)
    return weights


def published_file(folder: Path) -> Path:
    """Return where pytorch-fid looks for its weights if ``folder`` is torch's hub."""
    import_torchvision()
    from pytorch_fid import inception

    url: str = inception.FID_WEIGHTS_URL
    return folder / "checkpoints" / url.rpartition("/")[2]


def write_weights(folder: Path, *, seed: int | None = None) -> Path:
    """Write the weights in the forms that the tools read; return the folder."""
    file = published_file(folder)
    file.parent.mkdir(parents=True)
    weights = inception_weights(seed=seed)
    # The classifier, which no feature passes but which the files have.
    torch.save(weights | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, file)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = _Flat(open_pytorch_fid(folder, resizes=False))
        example = torch.zeros(1, 3, 299, 299)
        traced = torch.jit.trace(layers, example, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(torch.jit.script(_Holder(traced)), folder / CLEAN_FILE)
    return folder


class _Flat(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.flatten(self.network(images)[0], 1)


class _Holder(nn.Module):
    """What clean-fid expects of its file: the network proper under the name ``layers``."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)  # type: ignore[no-any-return]


@contextlib.contextmanager
def hub(folder: Path) -> Iterator[None]:
    """Let torch look for published files in ``folder``."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder))
    try:
        yield
    finally:
        torch.hub.set_dir(before)


def open_pytorch_fid(folder: Path, *, resizes: bool = True) -> Any:
    """Return pytorch-fid's network; without its own resizing and scaling if not ``resizes``."""
    import_torchvision()
    from pytorch_fid.inception import InceptionV3

    blocks = [InceptionV3.BLOCK_INDEX_BY_DIM[2048]]
    with hub(folder):
        network = InceptionV3(blocks, resize_input=resizes, normalize_input=resizes)
    return network.eval()


@dataclass(frozen=True)
class Peer:
    """One tool's network with the tool's own preparation of pictures.

    Attributes:
        batch: how many pictures it takes at once unless told otherwise.
        features: from 8-bit pictures of one size to features ``(N, 2048)``.
    """

    name: str
    batch: int
    features: Callable[[Sequence[Image]], Rows]


def open_peers(folder: Path) -> Mapping[str, Peer]:
    """Load every tool's network."""
    found = (
        Peer("pytorch-fid", 50, _pytorch_fid(folder)),
        Peer("torch-fidelity", 64, _torch_fidelity(folder)),
        Peer("torchmetrics", 64, _torchmetrics(folder)),
        Peer("clean-fid", 32, _clean_fid(folder)),
    )
    return {peer.name: peer for peer in found}


def _pytorch_fid(folder: Path) -> Callable[[Sequence[Image]], Rows]:
    network = open_pytorch_fid(folder)
    from torchvision.transforms import ToTensor

    to_tensor = ToTensor()

    def features(images: Sequence[Image]) -> Rows:
        with torch.no_grad():
            batch = torch.stack([to_tensor(image) for image in images])
            return np.asarray(network(batch)[0].squeeze(3).squeeze(2).numpy())

    return features


def _as_bytes(images: Sequence[Image]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def _torch_fidelity(folder: Path) -> Callable[[Sequence[Image]], Rows]:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(published_file(folder))
    )

    def features(images: Sequence[Image]) -> Rows:
        with torch.no_grad():
            return np.asarray(network(_as_bytes(images))[0].numpy())

    return features


def open_torchmetrics_fid(folder: Path) -> Any:
    """Return torchmetrics' FID."""
    import_torchvision()
    from torchmetrics.image.fid import FrechetInceptionDistance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FrechetInceptionDistance(feature_extractor_weights_path=str(published_file(folder)))


def _torchmetrics(folder: Path) -> Callable[[Sequence[Image]], Rows]:
    network = open_torchmetrics_fid(folder).inception

    def features(images: Sequence[Image]) -> Rows:
        with torch.no_grad():
            return np.asarray(network(_as_bytes(images)).numpy())

    return features


def open_clean_fid(folder: Path) -> Any:
    """Return clean-fid's network, which takes pictures of 299 x 299 in 0..255."""
    import_torchvision()
    from cleanfid.inception_torchscript import InceptionV3W

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return InceptionV3W(str(folder), download=False).eval()


def _clean_fid(folder: Path) -> Callable[[Sequence[Image]], Rows]:
    network = open_clean_fid(folder)
    from cleanfid.resize import build_resizer

    resize = build_resizer("clean")

    def features(images: Sequence[Image]) -> Rows:
        with torch.no_grad():
            resized = np.stack([resize(image) for image in images])
            batch = torch.from_numpy(resized).permute(0, 3, 1, 2).contiguous()  # as its loader does
            return np.asarray(network(batch).numpy())

    return features
