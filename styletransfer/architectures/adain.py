"""Arbitrary style transfer by adaptive instance normalisation: a content and a style picture.

One file holds both networks of the usual release: what its `vgg_normalised.pth` holds below
`encoder.`, what its `decoder.pth` holds below `decoder.`. The encoder is VGG-19 up to relu4_1,
starting with a 1 x 1 convolution that normalises; deeper layers may be there and are not read.

Reference:
    Huang, Belongie. Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.
    ICCV 2017.
"""

import re

from styletransfer.architectures.description import (
    Architecture,
    Layers,
    Parameter,
    Parameters,
    Picture,
    Shapes,
    convolution,
)

# Positions in the two Sequentials: padding, activations and changes of size take positions too.
_ENCODER = (
    (2, 3, 1), (5, 1, 1), (9, 1, 2), (12, 2, 2), (16, 2, 4), (19, 4, 4), (22, 4, 4), (25, 4, 4),
    (29, 4, 8),
)  # fmt: skip
_SHRUNK_BEFORE = (9, 16, 29)
_DECODER = (
    (1, 8, 4), (5, 4, 4), (8, 4, 4), (11, 4, 4), (14, 4, 2), (18, 2, 2), (21, 2, 1), (25, 1, 1),
    (28, 1, 0),
)  # fmt: skip
_ENLARGED_BEFORE = (5, 18, 25)
_DEEPER = re.compile(r"encoder\.(3[1-9]|[45]\d)\.(weight|bias)")


def _list_shapes(parameters: Parameters) -> Shapes:
    width = parameters["width"]
    shapes = convolution("encoder.0", 3, 3, 1)
    for position, inputs, outputs in _ENCODER:
        channels = 3 if position == _ENCODER[0][0] else inputs * width
        shapes |= convolution(f"encoder.{position}", outputs * width, channels, 3)
    for position, inputs, outputs in _DECODER:
        shapes |= convolution(f"decoder.{position}", outputs * width or 3, inputs * width, 3)
    return shapes


def _paint(net: Layers, content: Picture, style: Picture) -> Picture:
    content_mean, content_deviation = net.moments(features := _encode(net, content))
    style_mean, style_deviation = net.moments(_encode(net, style))
    x = (features - content_mean) / content_deviation * style_deviation + style_mean
    for position, _inputs, outputs in _DECODER:
        if position in _ENLARGED_BEFORE:
            x = net.enlarge(x)
        x = net.convolve(f"decoder.{position}", net.reflect(x, 1))
        x = net.relu(x) if outputs else x
    return x


def _encode(net: Layers, x: Picture) -> Picture:
    x = net.convolve("encoder.0", x)
    for position, _inputs, _outputs in _ENCODER:
        if position in _SHRUNK_BEFORE:
            x = net.shrink(x)
        x = net.relu(net.convolve(f"encoder.{position}", net.reflect(x, 1)))
    return x


ARCHITECTURE = Architecture(
    name="adain",
    title="AdaIN (encoder and decoder, Huang and Belongie 2017)",
    parameters={"width": Parameter(default=64, low=1, high=64)},
    list_shapes=_list_shapes,
    paint=_paint,
    guess_parameters=lambda shapes: {"width": shapes["encoder.2.weight"][0]},
    find_multiple=lambda _parameters: 8,
    usual_range="0..1",
    inputs=2,
    unused=_DEEPER,
)
