"""The brief's training: Adam on the discriminator and on the generator, in turn.

The generator minimises ``alpha content + beta style + gamma adversarial``, the discriminator
learns to tell real paintings (1) from what was not painted (0).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from styletransfer.discriminator import PatchGan
from styletransfer.metrics.adversarial import discriminator_loss, generator_loss
from styletransfer.recipe import Recipe
from styletransfer.training.target import StyleTarget
from styletransfer.vgg import Vgg19


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        recipe: layers, layer weights and normalisation; its other weights count in scoring only.
        alpha, beta, gamma: weights of the content, style and adversarial terms. The first two
            terms are relative to each photograph's own anchors: what pasting the style would cost
            in content, and copying the photograph in style.
        batch: photographs per step of the generator.
        judged: paintings and photographs per step of the discriminator.
        copying_steps: steps at the start that only teach the generator to copy its input.
        photo_share: weight of unpainted photographs, against generated pictures, among what the
            discriminator learns to call not real. The brief's loss has 0: then D's scores of
            generated pictures fall as fast as G improves, and say little about photographs.
        scale: what the generator calls white, 255 for values 0..255.
    """

    recipe: Recipe
    alpha: float
    beta: float
    gamma: float
    steps: int
    batch: int = 1
    judged: int = 4
    copying_steps: int = 0
    generator_rate: float = 2e-3
    discriminator_rate: float = 1e-3
    photo_share: float = 0.0
    scale: float = 255.0
    seed: int = 0


@dataclass
class Step:
    """What one step measured; terms are weighted, as they enter the total."""

    number: int
    content: float
    style: float
    adversarial: float
    discriminator: float


class Deck:
    """Deals numbers below ``size``: none again before all others were dealt."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self._waiting: list[int] = []

    def deal(self, count: int) -> list[int]:
        while len(self._waiting) < count:
            self._waiting += self.rng.permutation(self.size).tolist()
        dealt, self._waiting = self._waiting[:count], self._waiting[count:]
        return dealt


def train(
    generator: nn.Module,
    discriminator: PatchGan,
    vgg: Vgg19,
    *,
    contents: Tensor,
    style: Tensor,
    reals: Tensor,
    plan: Plan,
    on_step: Callable[[Step], None] | None = None,
) -> None:
    """Train both networks in place.

    Args:
        generator: maps (N, 3, H, W) to the same size, on the plan's scale.
        discriminator: judges outputs in 0..1.
        vgg: frozen, deep enough for the plan's recipe.
        contents: photographs (n, 3, H, W) in 0..1.
        style: the style image (1, 3, H', W') in 0..1, no smaller than the photographs.
        reals: paintings (m, 3, h, w) in 0..1.
        plan: weights, rates and lengths.
        on_step: told of every step's losses.
    """
    target = StyleTarget(vgg, plan.recipe, style)
    kept, anchors = target.prepare(contents)
    rng = np.random.Generator(np.random.PCG64(plan.seed))
    photos, negatives = Deck(len(contents), rng), Deck(len(contents), rng)
    paintings = Deck(len(reals), rng)
    generator_adam = Adam(generator.parameters(), plan.generator_rate)
    discriminator_adam = Adam(discriminator.parameters(), plan.discriminator_rate, (0.5, 0.999))
    for _ in range(plan.copying_steps):
        batch = contents[photos.deal(plan.batch)]
        copied = generator(batch * plan.scale) / plan.scale
        descend(generator_adam, (copied - batch).square().mean())
    for number in range(plan.steps):
        fade(generator_adam, plan.generator_rate, number / plan.steps)
        fade(discriminator_adam, plan.discriminator_rate, number / plan.steps)
        chosen = photos.deal(plan.batch)
        outputs = clamp(generator(contents[chosen] * plan.scale) / plan.scale)

        real = discriminator(reals[paintings.deal(plan.judged)])
        made = discriminator(outputs.detach())
        taken = discriminator(contents[negatives.deal(plan.judged)])
        judged = (1 - plan.photo_share) * discriminator_loss(real, made)
        judged = judged + plan.photo_share * discriminator_loss(real, taken)
        descend(discriminator_adam, judged)

        losses = torch.stack(target.measure(outputs, kept[chosen]))
        content, by_style = losses / anchors[chosen].mean(0)
        adversarial = generator_loss(discriminator(outputs)).mean()
        terms = plan.alpha * content, plan.beta * by_style, plan.gamma * adversarial
        descend(generator_adam, sum(terms[1:], terms[0]))
        if on_step:
            on_step(Step(number, *(float(term.detach()) for term in (*terms, judged))))


def clamp(images: Tensor) -> Tensor:
    """Limit to 0..1 as scoring does, yet pass gradients as if nothing had been cut off."""
    return images + (images.clamp(0, 1) - images).detach()


def descend(optimizer: Adam, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def fade(optimizer: Adam, rate: float, progress: float) -> None:
    """Lower the learning rate along a half cosine to a twentieth."""
    for group in optimizer.param_groups:
        group["lr"] = rate * (0.525 + 0.475 * np.cos(np.pi * progress))
