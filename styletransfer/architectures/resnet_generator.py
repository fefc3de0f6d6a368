"""CycleGAN's generator, as its public checkpoints name it.

Instance normalisation without weights, biases in every convolution, no dropout: what CycleGAN
trains by default. The numbers in keys are positions in one Sequential, where padding,
normalisation and activations, which hold no weights, take positions too.

Reference:
    Zhu, Park, Isola, Efros. Unpaired Image-to-Image Translation using Cycle-Consistent
    Adversarial Networks. ICCV 2017.
"""

from styletransfer.architectures.description import (
    Architecture,
    Layers,
    Parameter,
    Parameters,
    Picture,
    Shapes,
    convolution,
)

_FIRST_BLOCK = 10


def _list_shapes(parameters: Parameters) -> Shapes:
    width, blocks = parameters["width"], parameters["blocks"]
    wide, wider = 2 * width, 4 * width
    shapes = convolution("model.1", width, 3, 7)
    shapes |= convolution("model.4", wide, width, 3) | convolution("model.7", wider, wide, 3)
    for block in range(_FIRST_BLOCK, _FIRST_BLOCK + blocks):
        shapes |= convolution(f"model.{block}.conv_block.1", wider, wider, 3)
        shapes |= convolution(f"model.{block}.conv_block.5", wider, wider, 3)
    up = _FIRST_BLOCK + blocks
    # A transposed convolution stores (inputs, outputs, height, width).
    shapes |= {f"model.{up}.weight": (wider, wide, 3, 3), f"model.{up}.bias": (wide,)}
    shapes |= {f"model.{up + 3}.weight": (wide, width, 3, 3), f"model.{up + 3}.bias": (width,)}
    return shapes | convolution(f"model.{up + 7}", 3, width, 7)


def _paint(net: Layers, content: Picture) -> Picture:
    x = net.relu(net.instance_norm(net.convolve("model.1", net.reflect(content, 3))))
    for position in (4, 7):
        x = net.convolve(f"model.{position}", x, stride=2, padding=1)
        x = net.relu(net.instance_norm(x))
    up = _FIRST_BLOCK + net.parameters_given["blocks"]
    for position in range(_FIRST_BLOCK, up):
        block = f"model.{position}.conv_block"
        change = net.instance_norm(net.convolve(f"{block}.1", net.reflect(x, 1)))
        change = net.convolve(f"{block}.5", net.reflect(net.relu(change), 1))
        x = x + net.instance_norm(change)
    for position in (up, up + 3):
        x = net.relu(net.instance_norm(net.deconvolve(f"model.{position}", x, output_padding=1)))
    return net.tanh(net.convolve(f"model.{up + 7}", net.reflect(x, 3)))


def _guess_parameters(shapes: Shapes) -> dict[str, int]:
    blocks = sum(key.endswith(".conv_block.1.weight") for key in shapes)
    return {"blocks": blocks, "width": shapes["model.1.weight"][0]}


ARCHITECTURE = Architecture(
    name="resnet_generator",
    title="ResNet generator (CycleGAN, Zhu et al. 2017)",
    parameters={
        "blocks": Parameter(default=9, low=6, high=9, choices=(6, 9)),
        "width": Parameter(default=64, low=1, high=128),
    },
    list_shapes=_list_shapes,
    paint=_paint,
    guess_parameters=_guess_parameters,
    usual_range="-1..1",
)
