"""The PatchGAN discriminator, as trained and as scored with."""

import json
from typing import Literal, cast, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from styletransfer.errors import NonFiniteInput, WeightsMismatch

_METADATA_KEY = "patchgan"

DiscriminatorNorm = Literal["instance", "spectral"]


class PatchGan(nn.Module):
    """Judge overlapping patches: with ``n_layers=3`` each score sees 70 x 70 pixels.

    Instance normalisation keeps every image's scores independent of its batch. Spectral
    normalisation, of the weights, does too; ``limit_weights`` adds it for training.

    References:
        Isola et al. Image-to-Image Translation with Conditional Adversarial Networks. CVPR 2017.
        Miyato et al. Spectral Normalization for Generative Adversarial Networks. ICLR 2018.
    """

    def __init__(
        self, ndf: int = 16, n_layers: int = 3, norm: DiscriminatorNorm = "instance"
    ) -> None:
        super().__init__()
        if norm not in get_args(DiscriminatorNorm):
            raise ValueError(f"norm is one of {get_args(DiscriminatorNorm)}, got {norm!r}")
        if not (1 <= ndf <= 128 and 1 <= n_layers <= 5):
            raise ValueError(f"ndf 1..128 and n_layers 1..5, got {ndf} and {n_layers}")
        self.ndf, self.n_layers, self.norm = ndf, n_layers, norm
        layers: list[nn.Module] = [nn.Conv2d(3, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        width = ndf
        for depth in range(1, n_layers + 1):
            wider = ndf * min(2**depth, 8)
            stride = 2 if depth < n_layers else 1
            layers += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1),
                nn.InstanceNorm2d(wider) if norm == "instance" else nn.Identity(),
                nn.LeakyReLU(0.2),
            ]
            width = wider
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Score RGB ``images`` ``(N, 3, H, W)`` in 0..1: ``(N, 1, h, w)``, 1 is real, 0 is not."""
        return cast(Tensor, self.layers(images * 2 - 1))

    def limit_weights(self) -> None:
        """Keep the largest singular value of every convolution at 1 while training."""
        for convolution in self._convolutions().values():
            parametrizations.spectral_norm(convolution)

    def plain_weights(self) -> dict[str, Tensor]:
        """Return the weights as they are used, under the names of a file."""
        convolutions = self._convolutions().items()
        return {
            f"{name}.{part}": getattr(convolution, part)
            for name, convolution in convolutions
            for part in ("weight", "bias")
        }

    def _convolutions(self) -> dict[str, nn.Conv2d]:
        found = self.named_modules()
        return {name: module for name, module in found if isinstance(module, nn.Conv2d)}


def save_discriminator(discriminator: PatchGan) -> bytes:
    """Write a discriminator as safetensors; equal weights give equal bytes."""
    shape: dict[str, int | str] = {"n_layers": discriminator.n_layers, "ndf": discriminator.ndf}
    if discriminator.norm != "instance":  # files of before say nothing of it
        shape["norm"] = discriminator.norm
    config = json.dumps(shape)
    weights = {
        key: value.detach().to("cpu", torch.float32).contiguous()
        for key, value in discriminator.plain_weights().items()
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
        shape = int(config["ndf"]), int(config["n_layers"])
        discriminator = PatchGan(*shape, config.get("norm", "instance"))
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
