"""A discriminator's first lessons, before it plays against a generator."""

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from styletransfer.discriminator import PatchGan
from styletransfer.metrics.adversarial import discriminator_loss
from styletransfer.training.loop import Deck, descend, fade


def learn_to_judge(
    discriminator: PatchGan,
    *,
    paintings: Tensor,
    photographs: Tensor,
    steps: int,
    batch: int = 6,
    rate: float = 1e-3,
    seed: int = 0,
) -> None:
    """Teach a discriminator, in place, to tell paintings from photographs.

    Pictures come in colour and in grey: by colour alone it would learn the few painters and
    photographers it was shown, and fail on others.

    Args:
        discriminator: judges pictures in 0..1.
        paintings: (m, 3, h, w) in 0..1, to be called real.
        photographs: (n, 3, h, w) in 0..1, to be called not real.
        steps: how often it sees ``batch`` of each.
        batch: pictures of each kind in a step.
        rate: Adam's, at the start.
        seed: decides the order of the pictures.
    """
    real_pictures, taken_pictures = _with_grey(paintings), _with_grey(photographs)
    rng = np.random.Generator(np.random.PCG64(seed))
    taken_deck, real_deck = Deck(len(taken_pictures), rng), Deck(len(real_pictures), rng)
    adam = Adam(discriminator.parameters(), rate, (0.5, 0.999))
    for number in range(steps):
        fade(adam, rate, number / steps)
        real = discriminator(real_pictures[real_deck.deal(batch)])
        taken = discriminator(taken_pictures[taken_deck.deal(batch)])
        descend(adam, discriminator_loss(real, taken))


def _with_grey(pictures: Tensor) -> Tensor:
    return torch.cat([pictures, pictures.mean(1, keepdim=True).expand_as(pictures)])
