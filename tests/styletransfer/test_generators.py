from collections.abc import Mapping

import pytest
import torch

from styletransfer.architectures import ARCHITECTURES
from styletransfer.generators import build


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("transformer_net", {"width": 32}),
        ("transformer_net", {"width": 5}),
        ("resnet_generator", {"blocks": 9, "width": 16}),
        ("resnet_generator", {"blocks": 6, "width": 64}),
    ],
)
def test_the_table_of_keys_is_what_the_network_holds(
    name: str, parameters: Mapping[str, int]
) -> None:
    network = build(name, parameters)
    held = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert ARCHITECTURES[name].expected_shapes(parameters) == held
    assert ARCHITECTURES[name].count_weights(parameters) == sum(
        weight.numel() for weight in network.parameters()
    )


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


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_generator_keeps_the_size_of_its_input(name: str) -> None:
    architecture = ARCHITECTURES[name]
    network = build(name, architecture.fill_in({"width": 4})).eval()
    with torch.inference_mode():
        output = network(torch.rand(1, 3, 24, 36))
    assert output.shape == (1, 3, 24, 36)


def test_cyclegan_answers_within_minus_one_and_one() -> None:
    network = build("resnet_generator", {"blocks": 6, "width": 4}).eval()
    with torch.inference_mode():
        output = network(100 * torch.randn(1, 3, 16, 16))
    assert output.abs().max() <= 1
