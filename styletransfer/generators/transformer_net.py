"""The feed-forward stylisation network of Johnson et al., as its public checkpoints name it.

Reference:
    Johnson, Alahi, Fei-Fei. Perceptual Losses for Real-Time Style Transfer and Super-Resolution.
    ECCV 2016. With instance normalisation (Ulyanov et al. 2016) and upsampling by nearest
    neighbour instead of transposed convolutions, as in the checkpoints in circulation.
"""

from torch import Tensor, nn
from torch.nn import functional


class PaddedConvolution(nn.Module):
    """A convolution that reflects the border, after enlarging its input if asked to."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, enlarge: int = 1
    ) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.reflect = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.enlarge > 1:
            x = functional.interpolate(x, scale_factor=float(self.enlarge), mode="nearest")
        convolved: Tensor = self.conv2d(self.reflect(x))
        return convolved


class ResidualBlock(nn.Module):
    """Two convolutions whose output is added to their input; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = PaddedConvolution(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = PaddedConvolution(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = functional.relu(self.in1(self.conv1(x)))
        normalised: Tensor = self.in2(self.conv2(change))
        return x + normalised


class TransformerNet(nn.Module):
    """Map (N, 3, H, W) to the same size, H and W rounded up to multiples of 4.

    Args:
        width: channels after the first convolution; 32 in the paper.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        wide, wider = 2 * width, 4 * width
        self.conv1 = PaddedConvolution(3, width, 9)
        self.in1 = nn.InstanceNorm2d(width, affine=True)
        self.conv2 = PaddedConvolution(width, wide, 3, stride=2)
        self.in2 = nn.InstanceNorm2d(wide, affine=True)
        self.conv3 = PaddedConvolution(wide, wider, 3, stride=2)
        self.in3 = nn.InstanceNorm2d(wider, affine=True)
        self.res1 = ResidualBlock(wider)
        self.res2 = ResidualBlock(wider)
        self.res3 = ResidualBlock(wider)
        self.res4 = ResidualBlock(wider)
        self.res5 = ResidualBlock(wider)
        self.deconv1 = PaddedConvolution(wider, wide, 3, enlarge=2)
        self.in4 = nn.InstanceNorm2d(wide, affine=True)
        self.deconv2 = PaddedConvolution(wide, width, 3, enlarge=2)
        self.in5 = nn.InstanceNorm2d(width, affine=True)
        self.deconv3 = PaddedConvolution(width, 3, 9)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.in1(self.conv1(x)))
        x = functional.relu(self.in2(self.conv2(x)))
        x = functional.relu(self.in3(self.conv3(x)))
        for block in (self.res1, self.res2, self.res3, self.res4, self.res5):
            x = block(x)
        x = functional.relu(self.in4(self.deconv1(x)))
        x = functional.relu(self.in5(self.deconv2(x)))
        output: Tensor = self.deconv3(x)
        return output
