"""Which pictures each step sees: decks whose state can be kept, so that a training can go on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np


def rng_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return a generator's state; its 128-bit numbers as text, which any file can hold."""
    bits = rng.bit_generator.state
    return {**bits, "state": {name: hex(each) for name, each in bits["state"].items()}}


def restore_rng(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a generator into a state."""
    numbers = {name: int(each, 16) for name, each in state["state"].items()}
    rng.bit_generator.state = {**state, "state": numbers}


class Deck:
    """Deals numbers below ``size``: none again before all others were dealt."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self.waiting: list[int] = []

    def deal(self, count: int) -> list[int]:
        while len(self.waiting) < count:
            self.waiting += self.rng.permutation(self.size).tolist()
        dealt, self.waiting = self.waiting[:count], self.waiting[count:]
        return dealt


@dataclass(frozen=True)
class Hand:
    """The pictures of one step by their numbers; ``step`` decides about their crops."""

    step: int
    contents: list[int]
    reals: list[int]
    negatives: list[int]
    styles: list[int]


@dataclass(frozen=True)
class Sizes:
    """How many pictures there are of a kind."""

    contents: int
    reals: int
    styles: int


class Sampler:
    """Deals the hands of a training, one after the other.

    Whether there is an adversarial loss changes none of them: trainings compare by equal seeds.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        seed: int,
        batch: int,
        judged: int,
        copying_steps: int = 0,
        with_styles: bool = False,
    ) -> None:
        self.batch, self.judged = batch, judged
        self.copying_steps, self.with_styles = copying_steps, with_styles
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.decks = {
            "contents": Deck(sizes.contents, self.rng),
            "reals": Deck(sizes.reals, self.rng),
            "negatives": Deck(sizes.contents, self.rng),
            "styles": Deck(sizes.styles, self.rng),
        }
        self.step = 0

    def deal(self) -> Hand:
        """Deal the next step's pictures; while the generator learns to copy, contents only."""
        judged = self.judged if self.step >= self.copying_steps else 0
        wanted = {
            "contents": self.batch,
            "reals": judged,
            "negatives": judged,
            "styles": self.batch if self.with_styles else 0,
        }
        hand = Hand(self.step, **{name: self.decks[name].deal(n) for name, n in wanted.items()})
        self.step += 1
        return hand

    def state(self) -> dict[str, Any]:
        """Return all that the next hands depend on, as plain values."""
        return {
            "step": self.step,
            "rng": rng_state(self.rng),
            "waiting": {name: list(deck.waiting) for name, deck in self.decks.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Go on from a state."""
        self.step = state["step"]
        restore_rng(self.rng, state["rng"])
        for name, deck in self.decks.items():
            deck.waiting = list(state["waiting"][name])
        return self
