from collections import OrderedDict
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from styletransfer.architectures import ARCHITECTURES, count_elements
from styletransfer.generators import build


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("transformer_net", {"width": 32}),
        ("transformer_net", {"width": 5}),
        ("resnet_generator", {"blocks": 9, "width": 16}),
        ("resnet_generator", {"blocks": 6, "width": 64}),
        ("unet_generator", {"downs": 8, "width": 4, "batch_norm": 1}),
        ("unet_generator", {"downs": 5, "width": 8, "batch_norm": 0}),
        ("adain", {"width": 4}),
    ],
)
def test_the_table_of_keys_is_what_the_network_holds(
    name: str, parameters: Mapping[str, int]
) -> None:
    network = build(name, parameters)
    held = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert ARCHITECTURES[name].expected_shapes(parameters) == held
    assert ARCHITECTURES[name].count_weights(parameters) == sum(
        weight.numel() for weight in network.state_dict().values()
    )
    assert ARCHITECTURES[name].recognise(held) == parameters


def test_transformer_net_has_the_published_key_names() -> None:
    shapes = ARCHITECTURES["transformer_net"].expected_shapes({"width": 32})
    assert shapes["conv1.conv2d.weight"] == (32, 3, 9, 9)
    assert shapes["in1.weight"] == (32,)
    assert shapes["res5.conv2.conv2d.bias"] == (128,)
    assert shapes["res1.in2.bias"] == (128,)
    assert shapes["deconv1.conv2d.weight"] == (64, 128, 3, 3)
    assert shapes["deconv3.conv2d.weight"] == (3, 32, 9, 9)
    assert len(shapes) == 62


def test_resnet_generator_has_the_keys_of_published_cyclegan_files() -> None:
    shapes = ARCHITECTURES["resnet_generator"].expected_shapes({"blocks": 9, "width": 64})
    assert shapes["model.1.weight"] == (64, 3, 7, 7)
    assert shapes["model.4.weight"] == (128, 64, 3, 3)
    assert shapes["model.10.conv_block.1.weight"] == (256, 256, 3, 3)
    assert shapes["model.18.conv_block.5.bias"] == (256,)
    assert shapes["model.19.weight"] == (256, 128, 3, 3)
    assert shapes["model.22.weight"] == (128, 64, 3, 3)
    assert shapes["model.26.weight"] == (3, 64, 7, 7)
    # The paper's code prints 11.378 M parameters for this generator.
    assert ARCHITECTURES["resnet_generator"].count_weights({"blocks": 9, "width": 64}) == 11_378_179


def test_unet_generator_has_the_keys_of_published_pix2pix_files() -> None:
    shapes = ARCHITECTURES["unet_generator"].expected_shapes({})
    inner = "model.model.1" + ".model.3" * 6 + ".model"
    assert shapes["model.model.0.weight"] == (64, 3, 4, 4)
    assert shapes["model.model.1.model.2.running_mean"] == (128,)
    assert shapes[f"{inner}.1.weight"] == (512, 512, 4, 4)
    assert shapes[f"{inner}.3.weight"] == (512, 512, 4, 4)
    assert shapes[f"{inner}.4.bias"] == (512,)
    assert shapes["model.model.1.model.5.weight"] == (256, 64, 4, 4)
    assert shapes["model.model.3.weight"] == (128, 3, 4, 4)
    assert shapes["model.model.3.bias"] == (3,)
    assert "model.model.0.bias" not in shapes
    # The paper's code prints 54.414 M parameters for this generator.
    weights = {key: shape for key, shape in shapes.items() if "running" not in key}
    assert count_elements(weights.values()) == 54_413_955


def test_adain_has_the_keys_of_the_published_encoder_and_decoder() -> None:
    shapes = ARCHITECTURES["adain"].expected_shapes({})
    assert shapes["encoder.0.weight"] == (3, 3, 1, 1)
    assert shapes["encoder.29.weight"] == (512, 256, 3, 3)
    assert shapes["decoder.1.weight"] == (256, 512, 3, 3)
    assert shapes["decoder.28.weight"] == (3, 64, 3, 3)
    deeper = {"encoder.31.weight": (512, 512, 3, 3), "encoder.51.bias": (512,)}
    assert ARCHITECTURES["adain"].recognise(shapes | deeper) == {"width": 64}
    assert ARCHITECTURES["adain"].recognise(shapes | {"encoder.60.bias": (512,)}) is None


class Skipping(nn.Module):
    """One level of a U-Net, of modules as pix2pix nests them."""

    def __init__(self, *layers: nn.Module, is_outermost: bool = False) -> None:
        super().__init__()
        self.model, self.is_outermost = nn.Sequential(*layers), is_outermost

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.model(x)
        return made if self.is_outermost else torch.cat([x, made], 1)


def make_unet(width: int, *, with_batch: bool) -> nn.Module:
    """Return a U-Net of five levels."""

    def normalise(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels) if with_batch else nn.InstanceNorm2d(channels)

    def halve(inputs: int, outputs: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not with_batch)

    def double(inputs: int, outputs: int, *, bias: bool = not with_batch) -> nn.Module:
        return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)

    def leaky() -> nn.Module:
        return nn.LeakyReLU(0.2, inplace=True)

    wide = 8 * width
    level: nn.Module = Skipping(
        leaky(), halve(wide, wide), nn.ReLU(), double(wide, wide), normalise(wide)
    )
    for outer, inner in ((4 * width, wide), (2 * width, 4 * width), (width, 2 * width)):
        down = (leaky(), halve(outer, inner), normalise(inner))
        level = Skipping(*down, level, nn.ReLU(), double(2 * inner, outer), normalise(outer))
    outermost = (halve(3, width), level, nn.ReLU(), double(2 * width, 3, bias=True), nn.Tanh())
    return nn.Sequential(OrderedDict(model=Skipping(*outermost, is_outermost=True)))


@pytest.mark.parametrize("with_batch", [True, False])
def test_unet_generator_computes_what_its_modules_would(with_batch: bool) -> None:
    torch.manual_seed(3)
    modules = make_unet(4, with_batch=with_batch)
    for _ in range(3):  # means and variances that are not the first ones
        modules(torch.randn(2, 3, 64, 64))
    weights = modules.state_dict()
    ours = build("unet_generator", {"downs": 5, "width": 4, "batch_norm": int(with_batch)})
    unused = ours.architecture.unused
    ours.load_state_dict(
        {k: v for k, v in weights.items() if not (k.endswith("tracked") and unused.fullmatch(k))}
    )
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(ours.eval()(x.clone()), modules.eval()(x.clone()))


def make_vgg_part(width: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    inputs = 3
    plan = [1, 1, 0, 2, 2, 0, 4, 4, 4, 4, 0, 8]
    for outputs in plan:
        if not outputs:
            layers.append(nn.MaxPool2d(2, 2, 0, ceil_mode=True))
            continue
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs * width, 3), nn.ReLU()]
        inputs = outputs * width
    return nn.Sequential(*layers)


def make_decoder(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((8, 4), (0, 0), (4, 4), (4, 4), (4, 4), (4, 2), (0, 0), (2, 2), (2, 1)):
        if not inputs:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            continue
        convolution = nn.Conv2d(inputs * width, outputs * width, 3)
        layers += [nn.ReflectionPad2d(1), convolution, nn.ReLU()]
    layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
    layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(1), nn.Conv2d(width, 3, 3))


def test_adain_gives_the_content_s_features_the_style_s_statistics() -> None:
    torch.manual_seed(4)
    encoder, decoder = make_vgg_part(4), make_decoder(4)
    ours = build("adain", {"width": 4})
    parts = {"encoder": encoder, "decoder": decoder}
    ours.load_state_dict(
        {f"{name}.{key}": v for name, part in parts.items() for key, v in part.state_dict().items()}
    )
    content, style = torch.rand(1, 3, 40, 24), torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        features, wanted = encoder(content), encoder(style)

        def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
            flat = x.flatten(2)
            deviation = (flat.var(2, keepdim=True) + 1e-5).sqrt()
            return flat.mean(2, keepdim=True)[..., None], deviation[..., None]

        (mean, deviation), (style_mean, style_deviation) = statistics(features), statistics(wanted)
        expected = decoder((features - mean) / deviation * style_deviation + style_mean)
        # float32 sums in another order.
        torch.testing.assert_close(ours(content, style), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_generator_keeps_the_size_of_its_input(name: str) -> None:
    architecture = ARCHITECTURES[name]
    parameters = {"width": 4}
    multiple = architecture.size_multiple(parameters)
    network = build(name, parameters).eval()
    images = [torch.rand(1, 3, 2 * multiple, 3 * multiple)] * architecture.inputs
    with torch.inference_mode():
        assert network(*images).shape == images[0].shape


def test_cyclegan_answers_within_minus_one_and_one() -> None:
    network = build("resnet_generator", {"blocks": 6, "width": 4}).eval()
    with torch.inference_mode():
        output = network(100 * torch.randn(1, 3, 16, 16))
    assert output.abs().max() <= 1
