"""A discriminator that learns alone, from pictures that are there: paintings and what is not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.discriminator import PatchGan
from styletransfer.metrics.adversarial import discriminator_loss
from styletransfer.training.optimising import Learner
from styletransfer.training.pictures import Pictures, Place
from styletransfer.training.sampling import Deck

Scores = NDArray[np.float64]
BINS = 10


class WithGrey:
    """Pictures in colour, and all of them again in grey.

    By colour alone a discriminator would learn the few painters and photographers it was shown, and
    fail on others.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.is_fixed = pictures.is_fixed

    def __len__(self) -> int:
        return 2 * len(self.pictures)

    def take(self, numbers: Sequence[int], places: Sequence[Place]) -> Tensor:
        count = len(self.pictures)
        taken = self.pictures.take([number % count for number in numbers], places)
        is_grey = torch.tensor([number >= count for number in numbers]).view(-1, 1, 1, 1)
        return torch.where(is_grey, taken.mean(1, keepdim=True).expand_as(taken), taken)


def learn_to_judge(
    discriminator: PatchGan,
    *,
    reals: Pictures,
    others: Pictures,
    steps: int,
    batch: int = 6,
    rate: float = 1e-3,
    seed: int = 0,
    on_step: Callable[[int, float], None] | None = None,
) -> None:
    """Teach a discriminator, in place, to tell paintings from other pictures.

    Args:
        discriminator: judges pictures in 0..1.
        reals: to be called real.
        others: to be called not real.
        steps: how often it sees ``batch`` of each.
        batch: pictures of each kind in a step.
        rate: Adam's, at the start.
        seed: decides the order of the pictures.
        on_step: is told of the steps done and of the loss.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    other_deck, real_deck = Deck(len(others), rng), Deck(len(reals), rng)
    learner = Learner(discriminator, rate, 0.5, schedule="cosine", clip_norm=0)
    device = next(discriminator.parameters()).device
    for number in range(steps):
        learner.begin(number / steps)
        places = [(number, slot) for slot in range(batch)]
        real = discriminator(reals.take(real_deck.deal(batch), places).to(device))
        other = discriminator(others.take(other_deck.deal(batch), places).to(device))
        loss = discriminator_loss(real, other)
        learner.gather(loss)
        learner.step()
        if on_step:
            on_step(number + 1, float(loss.detach()))


@dataclass(frozen=True)
class Quality:
    """How well a discriminator judges pictures that it did not learn from.

    Attributes:
        auc: how often a painting scores above another picture; 0.5 is chance.
        brier: mean squared distance of scores from 1 for paintings and 0 for others; 0.25 is what
            always saying 0.5 has.
        calibration_error: mean distance between scores and the share of paintings among pictures
            of such scores, in ten bins. The least-squares loss makes a score the probability of
            being a painting where both kinds are as many.
        bins: of each bin that is not empty its mean score, its share of paintings, and its weight.
        reals, others: how many pictures.
    """

    auc: float
    brier: float
    calibration_error: float
    bins: tuple[tuple[float, float, float], ...]
    reals: int
    others: int


def examine(discriminator: PatchGan, reals: Sequence[Tensor], others: Sequence[Tensor]) -> Quality:
    """Judge pictures (1, 3, h, w), of any sizes, that were held out."""
    painted, taken = (judge_all(discriminator, some) for some in (reals, others))
    # Either kind weighs as much, however many there are.
    weights = np.concatenate([np.full(len(some), 0.5 / len(some)) for some in (painted, taken)])
    is_real = np.concatenate([np.ones(len(painted)), np.zeros(len(taken))])
    scores = np.clip(np.concatenate([painted, taken]), 0, 1)
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    bins = []
    for place in np.unique(places):
        mine = weights * (places == place)
        weight = float(mine.sum())
        bins.append((float(mine @ scores) / weight, float(mine @ is_real) / weight, weight))
    return Quality(
        auc=area_under_curve(painted, taken),
        brier=float(weights @ (scores - is_real) ** 2),
        calibration_error=sum(abs(score - share) * weight for score, share, weight in bins),
        bins=tuple(bins),
        reals=len(painted),
        others=len(taken),
    )


@torch.no_grad()
def judge_all(discriminator: PatchGan, pictures: Sequence[Tensor]) -> Scores:
    """Return the mean patch score of each picture (1, 3, h, w)."""
    return np.array([float(discriminator(picture).mean()) for picture in pictures])


def area_under_curve(positives: Scores, negatives: Scores) -> float:
    """Return how often a positive scores above a negative; a draw counts half."""
    difference = positives[:, None] - negatives[None, :]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)
