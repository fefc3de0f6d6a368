"""The U-Net generator of pix2pix, as its public checkpoints name it.

Levels are nested: the weights of the second are below `model.model.1`, of the third below
`model.model.1.model.3`, and so on. With batch normalisation (`batch_norm` 1, the default of
pix2pix) convolutions have no bias and the stored means and variances are used, dropout is off; with
instance normalisation (0) it is the other way round.

Reference:
    Isola, Zhu, Zhou, Efros. Image-to-Image Translation with Conditional Adversarial Networks.
    CVPR 2017.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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

_OUTERMOST = "model.model"


@dataclass(frozen=True)
class _Level:
    """One halving of the picture; ``number`` 0 is the outermost."""

    key: str
    number: int
    is_innermost: bool
    outer: int
    inner: int

    @property
    def positions(self) -> tuple[int, int | None, int, int | None]:
        """Say where in its Sequential it halves, normalises, doubles and normalises."""
        if self.number == 0:
            return 0, None, 3, None
        return (1, None, 3, 4) if self.is_innermost else (1, 2, 5, 6)


def _levels(parameters: Parameters) -> Iterator[_Level]:
    width, count = parameters["width"], parameters["downs"]
    key, outer = _OUTERMOST, 3
    for number in range(count):
        inner = width * min(2**number, 8)
        yield _Level(key, number, number == count - 1, outer, inner)
        key, outer = f"{key}.{1 if number == 0 else 3}.model", inner


def _list_shapes(parameters: Parameters) -> Shapes:
    with_batch = bool(parameters["batch_norm"])
    shapes: Shapes = {}
    for level in _levels(parameters):
        down, down_norm, up, up_norm = (f"{level.key}.{place}" for place in level.positions)
        shapes |= convolution(down, level.inner, level.outer, 4, bias=not with_batch)
        joined = level.inner if level.is_innermost else 2 * level.inner
        # A transposed convolution stores (inputs, outputs, height, width).
        shapes[f"{up}.weight"] = (joined, level.outer, 4, 4)
        if not with_batch or level.number == 0:
            shapes[f"{up}.bias"] = (level.outer,)
        for key, place, channels in (
            (down_norm, level.positions[1], level.inner),
            (up_norm, level.positions[3], level.outer),
        ):
            if with_batch and place is not None:
                shapes |= norm(key, channels)
                shapes |= {f"{key}.running_mean": (channels,), f"{key}.running_var": (channels,)}
    return shapes


def _paint(net: Layers, content: Picture) -> Picture:
    return _run(net, content, list(_levels(net.parameters_given)))


def _run(net: Layers, x: Picture, levels: list[_Level]) -> Picture:
    level, *deeper = levels
    is_outermost = level.number == 0
    down, down_norm, up, up_norm = level.positions
    # pix2pix activates in place, so that what skips the deeper levels is activated as well.
    skipped = x if is_outermost else net.leaky_relu(x)
    y = _normalised(net, level, down_norm, net.convolve(f"{level.key}.{down}", skipped, **_HALVING))
    if deeper:
        y = _run(net, y, deeper)
    y = net.deconvolve(f"{level.key}.{up}", net.relu(y))
    if is_outermost:
        return net.tanh(y)
    return net.join(skipped, _normalised(net, level, up_norm, y))


_HALVING = {"stride": 2, "padding": 1}


def _normalised(net: Layers, level: _Level, place: int | None, x: Picture) -> Picture:
    if place is None:
        return x
    if net.parameters_given["batch_norm"]:
        return net.batch_norm(f"{level.key}.{place}", x)
    return net.instance_norm(x)


def _guess_parameters(shapes: Shapes) -> dict[str, int]:
    depth = sum(
        re.fullmatch(r"model\.model(\.\d\.model)*\.[01]\.weight", key) is not None for key in shapes
    )
    return {
        "downs": depth,
        "width": shapes[f"{_OUTERMOST}.0.weight"][0],
        "batch_norm": int(f"{_OUTERMOST}.0.bias" not in shapes),
    }


ARCHITECTURE = Architecture(
    name="unet_generator",
    title="U-Net generator (pix2pix, Isola et al. 2017)",
    parameters={
        "downs": Parameter(default=8, low=5, high=8),
        "width": Parameter(default=64, low=1, high=96),
        "batch_norm": Parameter(default=1, low=0, high=1, choices=(0, 1)),
    },
    list_shapes=_list_shapes,
    paint=_paint,
    guess_parameters=_guess_parameters,
    find_multiple=lambda parameters: 2 ** parameters["downs"],
    usual_range="-1..1",
)
