"""The evaluator that tutorials write: the bars of speed are relative to it.

Three full passes of VGG-19 to relu5_4 (content, style and output), one image at a time, channels
first, nothing cached.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from styletransfer.torchvision_compat import import_torchvision
from styletransfer.vgg import Vgg19

# Places of the layers in torchvision's `features`, after ReLU.
CONTENT = 22
STYLES = (1, 6, 11, 20, 29)


class NaiveEvaluator:
    """Content and style loss of one pair at a time."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        import_torchvision()
        from torchvision.models.vgg import cfgs, make_layers

        self.network: nn.Module = make_layers(cfgs["E"], batch_norm=False).eval()
        self.network.load_state_dict(
            {key.removeprefix("features."): value for key, value in weights.items()}
        )
        scale = Vgg19("relu1_1")
        self.mean, self.std = scale.mean, scale.std

    @torch.no_grad()
    def measure(self, output: Tensor, content: Tensor, style: Tensor) -> tuple[float, float]:
        """Return the two losses of images ``(1, 3, H, W)`` in 0..1."""
        ours, theirs, styles = (self._features(image) for image in (output, content, style))
        content_loss = 0.5 * torch.sum((ours[CONTENT] - theirs[CONTENT]) ** 2)
        style_loss = torch.zeros(())
        for layer in STYLES:
            difference = _gram(ours[layer]) - _gram(styles[layer])
            channels = len(difference)
            style_loss = style_loss + torch.sum(difference**2) / (4 * channels**2) / len(STYLES)
        return content_loss.item(), style_loss.item()

    def _features(self, image: Tensor) -> dict[int, Tensor]:
        maps = (image - self.mean) / self.std
        found = {}
        for place, layer in enumerate(self.network.children()):
            maps = layer(maps)
            if place in (CONTENT, *STYLES):
                found[place] = maps
        return found


def _gram(maps: Tensor) -> Tensor:
    flat = maps[0].reshape(maps.shape[1], -1)
    return flat @ flat.T / flat.shape[1]
