"""The convolution of frozen networks beside torch's own."""

import pytest
import torch
import torch.nn.functional as F

from styletransfer import convolution
from styletransfer.convolution import FrozenConvolution

SHAPES = [
    ((3, 3), 2, (0, 0), (3, 24)),
    ((1, 1), 1, (0, 0), (24, 40)),
    ((1, 7), 1, (0, 3), (24, 24)),
    ((7, 1), 1, (3, 0), (24, 24)),
    ((5, 5), 1, (2, 2), (16, 32)),
]


def make(
    kernel: tuple[int, int], stride: int, padding: tuple[int, int], channels: tuple[int, int]
) -> FrozenConvolution:
    torch.manual_seed(1)
    layer = FrozenConvolution(*channels, kernel, stride=stride, padding=padding)
    layer.requires_grad_(False)
    return layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def maps(layer: FrozenConvolution, count: int = 2, side: int = 19) -> torch.Tensor:
    made = torch.randn(count, layer.in_channels, side, side)
    return made.contiguous(memory_format=torch.channels_last)


def exact(layer: FrozenConvolution, images: torch.Tensor) -> torch.Tensor:
    bias = layer.bias
    assert bias is not None
    made = F.conv2d(
        images.double(), layer.weight.double(), bias.double(), layer.stride, layer.padding
    )
    return made.relu()


@pytest.mark.parametrize(("kernel", "stride", "padding", "channels"), SHAPES)
@pytest.mark.parametrize("onednn", [True, False])
def test_it_is_a_convolution_then_relu(
    kernel: tuple[int, int],
    stride: int,
    padding: tuple[int, int],
    channels: tuple[int, int],
    onednn: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not onednn:
        monkeypatch.setattr(convolution, "has_onednn", lambda: False)
    layer = make(kernel, stride, padding, channels)
    images = maps(layer)
    with torch.inference_mode():
        made = layer(images)
    torch.testing.assert_close(made.double(), exact(layer, images), rtol=1e-5, atol=1e-5)
    assert made.min() == 0


def test_new_weights_and_sizes_are_taken_at_once() -> None:
    layer = make(*SHAPES[1])
    images, larger = maps(layer), maps(layer, side=23)
    with torch.inference_mode():
        layer(images)
        torch.testing.assert_close(
            layer(larger).double(), exact(layer, larger), rtol=1e-5, atol=1e-5
        )
        state = {key: -value for key, value in layer.state_dict().items()}
        layer.load_state_dict(state)
        torch.testing.assert_close(
            layer(larger).double(), exact(layer, larger), rtol=1e-5, atol=1e-5
        )


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    layer = make(*SHAPES[0])
    images = maps(layer, count=4)
    with torch.inference_mode():
        assert torch.equal(layer(images)[2:3], layer(images[2:3]))
