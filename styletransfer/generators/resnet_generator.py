"""CycleGAN's generator, as its public checkpoints name it.

Reference:
    Zhu, Park, Isola, Efros. Unpaired Image-to-Image Translation using Cycle-Consistent
    Adversarial Networks. ICCV 2017.
"""

from torch import Tensor, nn


class ResnetBlock(nn.Module):
    """Two reflected convolutions whose output is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv_block(x)
        return x + change


class ResnetGenerator(nn.Module):
    """Map (N, 3, H, W) to (N, 3, H, W) in -1..1, H and W multiples of 4.

    Instance normalisation without weights, biases in every convolution, no dropout: what
    CycleGAN trains by default. Layers sit in one Sequential because their positions are the keys.

    Args:
        blocks: residual blocks; 6 for 128-pixel training images, 9 for 256.
        width: channels after the first convolution (ngf).
    """

    def __init__(self, blocks: int = 9, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7)]
        layers += _normalised(width)
        for inputs in (width, 2 * width):
            layers.append(nn.Conv2d(inputs, 2 * inputs, 3, stride=2, padding=1))
            layers += _normalised(2 * inputs)
        layers += [ResnetBlock(4 * width) for _ in range(blocks)]
        for inputs in (4 * width, 2 * width):
            layers.append(
                nn.ConvTranspose2d(inputs, inputs // 2, 3, stride=2, padding=1, output_padding=1)
            )
            layers += _normalised(inputs // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.model(x)
        return output


def _normalised(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
