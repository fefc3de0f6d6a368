"""The feed-forward stylisation network of Johnson et al., as its public checkpoints name it.

Reference:
    Johnson, Alahi, Fei-Fei. Perceptual Losses for Real-Time Style Transfer and Super-Resolution.
    ECCV 2016. With instance normalisation (Ulyanov et al. 2016) and upsampling by nearest
    neighbour instead of transposed convolutions, as in the checkpoints in circulation.
"""

from styletransfer.architectures.description import (
    Architecture,
    Layers,
    Parameter,
    Parameters,
    Picture,
    Shapes,
    convolution,
    norm,
)


def _list_shapes(parameters: Parameters) -> Shapes:
    width = parameters["width"]
    wide, wider = 2 * width, 4 * width
    shapes: Shapes = {}
    for number, (outputs, inputs, kernel) in enumerate(
        [(width, 3, 9), (wide, width, 3), (wider, wide, 3)], start=1
    ):
        shapes |= convolution(f"conv{number}.conv2d", outputs, inputs, kernel)
        shapes |= norm(f"in{number}", outputs)
    for number in range(1, 6):
        for layer in (1, 2):
            shapes |= convolution(f"res{number}.conv{layer}.conv2d", wider, wider, 3)
            shapes |= norm(f"res{number}.in{layer}", wider)
    shapes |= convolution("deconv1.conv2d", wide, wider, 3) | norm("in4", wide)
    shapes |= convolution("deconv2.conv2d", width, wide, 3) | norm("in5", width)
    return shapes | convolution("deconv3.conv2d", 3, width, 9)


def _paint(net: Layers, content: Picture) -> Picture:
    def convolve(name: str, x: Picture, border: int, stride: int = 1) -> Picture:
        return net.convolve(f"{name}.conv2d", net.reflect(x, border), stride=stride)

    x = net.relu(net.instance_norm(convolve("conv1", content, 4), "in1"))
    x = net.relu(net.instance_norm(convolve("conv2", x, 1, 2), "in2"))
    x = net.relu(net.instance_norm(convolve("conv3", x, 1, 2), "in3"))
    for block in ("res1", "res2", "res3", "res4", "res5"):
        change = net.instance_norm(convolve(f"{block}.conv1", x, 1), f"{block}.in1")
        change = convolve(f"{block}.conv2", net.relu(change), 1)
        x = x + net.instance_norm(change, f"{block}.in2")  # no activation after the sum
    x = net.relu(net.instance_norm(convolve("deconv1", net.enlarge(x), 1), "in4"))
    x = net.relu(net.instance_norm(convolve("deconv2", net.enlarge(x), 1), "in5"))
    return convolve("deconv3", x, 4)


ARCHITECTURE = Architecture(
    name="transformer_net",
    title="TransformerNet (fast neural style, Johnson et al. 2016)",
    parameters={"width": Parameter(default=32, low=1, high=128)},
    list_shapes=_list_shapes,
    paint=_paint,
    guess_parameters=lambda shapes: {"width": shapes["conv1.conv2d.weight"][0]},
)
