"""Every loss has the gradient that finite differences have; one step is what the formulas say."""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from styletransfer.metrics.adversarial import discriminator_loss, generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import style_loss
from styletransfer.training.adversary import Adversary
from styletransfer.training.events import Stepped
from styletransfer.training.feeding import Batch
from styletransfer.vgg import Vgg19
from tests.tiny_training import TINY, in_double, make_networks, make_pictures, make_trainer

MAPS = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
OTHERS = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    "loss",
    [
        lambda maps: content_loss(maps, OTHERS),
        lambda maps: style_loss([maps, maps[..., :3]], [OTHERS, OTHERS], [0.3, 0.7]),
        lambda maps: style_loss([maps], [OTHERS[:1]], normalization="spatial"),
        generator_loss,
        lambda maps: discriminator_loss(maps, OTHERS),
        lambda maps: discriminator_loss(OTHERS, maps),
        lambda maps: discriminator_loss(maps, OTHERS, real_target=0.9),
    ],
    ids=["content", "style", "spatial style", "generator", "real", "made", "smoothed"],
)
def test_each_loss_has_the_gradient_of_finite_differences(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, MAPS.clone().requires_grad_(True))


def test_the_total_and_the_penalty_have_the_gradients_of_finite_differences(vgg: Vgg19) -> None:
    trainer = make_trainer(TINY, copy.deepcopy(vgg).double(), pictures=in_double(make_pictures()))
    adversary = trainer.learning.adversary
    assert adversary is not None
    adversary.network.double()
    batch = trainer.feeder.next()
    while not len(batch.reals):
        batch = trainer.feeder.next()
    # Away from 0, where what limits values has no slope that differences could see.
    output = (0.25 + 0.5 * batch.contents).detach().requires_grad_(True)

    def total(image: Tensor) -> Tensor:
        return trainer.learning._weigh(batch, image)[-1]

    assert torch.autograd.gradcheck(total, output, fast_mode=True, eps=1e-6, atol=1e-5)
    adversary.network.requires_grad_(True)
    weights = next(adversary.network.parameters())
    found = _penalty_slope(adversary, batch.reals)
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(2)).double()
    step = 1e-6
    with torch.no_grad():
        weights.add_(step * direction)
    above = adversary.penalise(batch.reals).item()
    with torch.no_grad():
        weights.sub_(2 * step * direction)
    below = adversary.penalise(batch.reals).item()
    expected = (above - below) / (2 * step)
    assert float((found * direction).sum()) == pytest.approx(expected, rel=1e-4)


def _penalty_slope(adversary: Adversary, reals: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(adversary.penalise(reals), next(adversary.network.parameters()))
    return slope


# The reference: formulas written out, with no code of the trainer's.


def take_features(vgg: Vgg19, images: Tensor) -> tuple[Tensor, Tensor]:
    first, second, third = (
        (layer.weight, layer.bias) for layer in vgg.stack if isinstance(layer, nn.Conv2d)
    )
    maps = (images - vgg.mean) / vgg.std
    shallow = F.relu(F.conv2d(maps, *first, padding=1))
    maps = F.relu(F.conv2d(shallow, *second, padding=1))
    return shallow, F.relu(F.conv2d(F.max_pool2d(maps, 2), *third, padding=1))


def gram(maps: Tensor) -> Tensor:
    flat = maps[0].reshape(maps.shape[1], -1)
    return flat @ flat.T / flat.shape[1]


def style_of(maps: tuple[Tensor, Tensor], style: tuple[Tensor, Tensor]) -> Tensor:
    terms = [
        ((gram(ours) - gram(theirs)) ** 2).sum() / (4 * ours.shape[1] ** 2)
        for ours, theirs in zip(maps, style, strict=True)
    ]
    return (terms[0] + terms[1]) / 2


def judge(weights: Sequence[Tensor], images: Tensor) -> Tensor:
    maps = F.leaky_relu(F.conv2d(2 * images - 1, weights[0], weights[1], 2, 1), 0.2)
    maps = F.conv2d(maps, weights[2], weights[3], 1, 1)
    mean = maps.mean((2, 3), keepdim=True)
    spread = ((maps - mean) ** 2).mean((2, 3), keepdim=True)
    maps = F.leaky_relu((maps - mean) / torch.sqrt(spread + 1e-5), 0.2)
    return F.conv2d(maps, weights[4], weights[5], 1, 1)


class HandAdam:
    """Kingma and Ba's formulas in NumPy."""

    def __init__(self, rate: float, beta1: float) -> None:
        self.rate, self.beta1, self.steps = rate, beta1, 0
        self.means: dict[int, NDArray[np.float64]] = {}
        self.squares: dict[int, NDArray[np.float64]] = {}

    def step(self, weights: Sequence[Tensor], loss: Tensor, factor: float) -> None:
        self.steps += 1
        slopes = torch.autograd.grad(loss, weights)
        for place, (weight, slope) in enumerate(zip(weights, slopes, strict=True)):
            g = slope.numpy()
            mean = self.beta1 * self.means.get(place, 0 * g) + (1 - self.beta1) * g
            square = 0.999 * self.squares.get(place, 0 * g) + 0.001 * g**2
            self.means[place], self.squares[place] = mean, square
            size = mean / (1 - self.beta1**self.steps)
            size = size / (np.sqrt(square / (1 - 0.999**self.steps)) + 1e-8)
            with torch.no_grad():
                weight -= torch.from_numpy(self.rate * factor * size)


def test_steps_equal_the_formulas_written_out_in_double_precision(
    vgg: Vgg19, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = copy.deepcopy(vgg).double()
    config = TINY.changed(steps=3, copying_steps=0, judged=1)
    pictures = in_double(make_pictures())
    events: list[Stepped] = []
    trainer = make_trainer(
        config,
        deep,
        [lambda e: events.append(e) if isinstance(e, Stepped) else None],
        pictures=pictures,
    )
    adversary = trainer.learning.adversary
    assert adversary is not None
    for network in (trainer.generator, adversary.network):
        network.double()
    hands: list[Batch] = []
    feeder_next = trainer.feeder.next

    def take(*, is_last: bool = False) -> Batch:
        hands.append(feeder_next(is_last=is_last))
        return hands[-1]

    monkeypatch.setattr(trainer.feeder, "next", take)

    painter, judging = (network.double() for network in make_networks(config))
    assert trainer.run()

    style = pictures.styles.take([0], [(0, 0)])
    target = take_features(deep, style)
    anchors = []
    for number in (slot * 6 // 16 for slot in range(16)):
        photo = take_features(deep, pictures.contents.take([number], [(0, 0)]))
        pasted = ((target[1] - photo[1]) ** 2).sum() / 2
        anchors.append((float(pasted), float(style_of(photo, target))))
    # torch's median is the lower of the two in the middle.
    paste, copying = (sorted(some)[7] for some in zip(*anchors, strict=True))
    painting, judged = list(painter.parameters()), list(judging.parameters())
    paint_adam, judge_adam = HandAdam(1e-2, 0.9), HandAdam(5e-3, 0.5)
    for number, batch in enumerate(hands):
        factor = 0.525 + 0.475 * math.cos(math.pi * number / 3)
        raw = painter(batch.contents * 255) / 255
        output = raw + (raw.clamp(0, 1) - raw).detach()
        wrong = ((judge(judged, batch.reals) - 1) ** 2).mean()
        wrong = wrong + (judge(judged, output.detach()) ** 2).mean()
        judge_adam.step(judged, wrong, factor)
        maps, photo = take_features(deep, output), take_features(deep, batch.contents)
        content = ((maps[1] - photo[1]) ** 2).sum() / 2 / paste
        style_term = style_of(maps, target) / copying
        fooled = ((judge(judged, output) - 1) ** 2).mean()
        paint_adam.step(painting, 0.1 * content + style_term + 0.1 * fooled, factor)
        assert events[number].content == pytest.approx(content.item(), rel=1e-9)
        assert events[number].style == pytest.approx(style_term.item(), rel=1e-9)
        assert events[number].adversarial == pytest.approx(fooled.item(), rel=1e-9)
        assert events[number].discriminator == pytest.approx(wrong.item(), rel=1e-9)
    for ours, theirs in zip(
        [*trainer.generator.parameters(), *adversary.network.parameters()],
        [*painting, *judged],
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
