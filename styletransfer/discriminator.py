"""The PatchGAN discriminator, as trained and as scored with."""

import json
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from styletransfer.errors import NonFiniteInput, WeightsMismatch

_METADATA_KEY = "patchgan"


class PatchGan(nn.Module):
    """Judge overlapping patches: with ``n_layers=3`` each score sees 70 x 70 pixels.

    Instance normalisation keeps every image's scores independent of its batch.

    Reference:
        Isola et al. Image-to-Image Translation with Conditional Adversarial Networks. CVPR 2017.
    """

    def __init__(self, ndf: int = 16, n_layers: int = 3) -> None:
        super().__init__()
        if not (1 <= ndf <= 128 and 1 <= n_layers <= 5):
            raise ValueError(f"ndf 1..128 and n_layers 1..5, got {ndf} and {n_layers}")
        self.ndf, self.n_layers = ndf, n_layers
        layers: list[nn.Module] = [nn.Conv2d(3, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        width = ndf
        for depth in range(1, n_layers + 1):
            wider = ndf * min(2**depth, 8)
            stride = 2 if depth < n_layers else 1
            layers += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1),
                nn.InstanceNorm2d(wider),
                nn.LeakyReLU(0.2),
            ]
            width = wider
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Score RGB ``images`` ``(N, 3, H, W)`` in 0..1: ``(N, 1, h, w)``, 1 is real, 0 is not."""
        return cast(Tensor, self.layers(images * 2 - 1))


def save_discriminator(discriminator: PatchGan) -> bytes:
    """Write a discriminator as safetensors; equal weights give equal bytes."""
    config = json.dumps({"n_layers": discriminator.n_layers, "ndf": discriminator.ndf})
    weights = {
        key: value.detach().to("cpu", torch.float32).contiguous()
        for key, value in discriminator.state_dict().items()
    }
    # One metadata key only: the library writes several in random order.
    return save(weights, metadata={_METADATA_KEY: config})


def load_discriminator(data: bytes) -> PatchGan:
    """Read a discriminator written by ``save_discriminator``, frozen and in evaluation mode.

    Raises:
        WeightsMismatch: the file is damaged or of another network.
        NonFiniteInput: it holds NaN or infinity.
    """
    try:
        weights = load(data)
        config = json.loads(_read_metadata(data)[_METADATA_KEY])
        discriminator = PatchGan(ndf=int(config["ndf"]), n_layers=int(config["n_layers"]))
        discriminator.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsMismatch(f"not a PatchGAN discriminator of ours: {error}") from error
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise NonFiniteInput("the discriminator's weights hold NaN or infinity")
    return discriminator.eval().requires_grad_(False)


def _read_metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return cast(dict[str, str], header.get("__metadata__", {}))
