"""One picture in tiles: normalise each tile by the whole picture's statistics.

Instance normalisation looks at all of a picture. Left to itself it would give every tile a light of
its own. Here statistics are taken once, from the whole picture made small, and hold for all tiles.

Reference:
    Chen, Wang, Xie, Lu, Luo. Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance
    Normalization. AAAI 2022.
"""

import torch
from torch import Tensor

from styletransfer.generators import NORM_EPSILON, Network

_Statistics = tuple[Tensor, Tensor]


class SteadyNetwork(Network):
    """A network whose normalisations use the statistics of the picture given to `look_at`."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.architecture, network.parameters_given)
        self.load_state_dict(network.state_dict(), assign=True)
        self.eval().requires_grad_(False)
        self._kept: list[_Statistics] | None = None
        self._taken: list[_Statistics] = []
        self._next = 0

    @torch.inference_mode()
    def look_at(self, *images: Tensor) -> None:
        """Take the statistics of every normalisation, in their order, from one picture."""
        self._kept = None
        self._taken = []
        super().forward(*images)
        self._kept = self._taken

    def forward(self, *images: Tensor) -> Tensor:
        """Paint with the statistics that were taken."""
        self._next = 0
        return super().forward(*images)

    def instance_norm(self, x: Tensor, key: str | None = None) -> Tensor:
        mean, variance = self._statistics(x, correction=0)
        x = (x - mean) / (variance + NORM_EPSILON).sqrt()
        if key is None:
            return x
        weight, bias = self.get_parameter(f"{key}.weight"), self.get_parameter(f"{key}.bias")
        return x * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = self._statistics(x, correction=1)
        return mean, (variance + NORM_EPSILON).sqrt()

    def _statistics(self, x: Tensor, *, correction: int) -> _Statistics:
        if self._kept is None:
            variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=correction)
            self._taken.append((mean, variance))
            return mean, variance
        self._next += 1
        return self._kept[self._next - 1]
