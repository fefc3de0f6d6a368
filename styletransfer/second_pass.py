"""A second pass over some of the pairs: what a generator makes may depend on its inputs only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import CheckpointRejected
from styletransfer.flags import Flag
from styletransfer.score_card import ScoreCard
from styletransfer.values import Image

SHARE = 0.05
LEAST_PAIRS = 2
MOST_PAIRS = 100

# In grey levels. Sums that run in another order differ in their last bits, and a value near a half
# is then rounded to the other side: by one level, never two, and in few places. Measured on trained
# generators with two different convolution routines: one level in at most 22 of 100,000 values.
# Noise of a hundredth of a level changes 600 of them.
TOLERANCE = 1
TOLERATED_SHARE = 0.002

UNAVAILABLE = "platform_fault"
"""Where there was no second pass because the platform failed: nothing is known then."""

Part = TypeVar("Part", int, float)
Again = Callable[[Sequence[int]], Sequence[Image]]


@dataclass(frozen=True)
class SecondPass:
    """What came of it.

    Attributes:
        pairs: by their number, in the order of the second pass.
        largest: for each, by how many grey levels a value differs at most from the first pass.
        share: for each, which part of its values differs at all.
        failure: why there are no pictures, if so: the code that a refusal would have had, or
            ``platform_fault``.
    """

    pairs: tuple[int, ...]
    largest: tuple[int, ...] = ()
    share: tuple[float, ...] = ()
    failure: str | None = None

    def flags(self) -> list[Flag]:
        """Return a flag where the generator failed, or where pictures differ."""
        if self.failure == UNAVAILABLE:
            return []
        if self.failure is not None:
            return [Flag("fails_second_pass", tuple(sorted(self.pairs)), float(len(self.pairs)))]
        differing = [
            pair
            for pair, largest, share in zip(self.pairs, self.largest, self.share, strict=True)
            if largest > TOLERANCE or share > TOLERATED_SHARE
        ]
        if not differing:
            return []
        return [Flag("depends_on_order", tuple(sorted(differing)), float(max(self.largest)))]

    @classmethod
    def join(cls, parts: "Sequence[SecondPass]") -> "SecondPass":
        """Return what came of several passes over pairs of their own as if it had been one."""
        failed = [part for part in parts if part.failure not in (None, UNAVAILABLE)]
        known = [part for part in parts if part.failure is None]
        if failed or not known:
            told = failed or parts
            return cls(_chain(part.pairs for part in told), failure=told[0].failure)
        return cls(
            _chain(part.pairs for part in known),
            _chain(part.largest for part in known),
            _chain(part.share for part in known),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SecondPass":
        """Read what ``to_json`` wrote."""
        tuples = {name: tuple(data[name]) for name in ("pairs", "largest", "share")}
        return cls(**tuples, failure=data["failure"])

    def add_to(self, card: ScoreCard) -> ScoreCard:
        """Return the card with what was found; its scores stay as they are."""
        flags = [flag.to_json() for flag in self.flags()]
        return card.with_guard("second_pass", asdict(self), flags)


def choose_order(pairs: int, seed: int) -> tuple[int, ...]:
    """Choose which pairs come again, and in which order: none at the place it had before.

    A twentieth of the pairs, at least two and at most 100; none where there is but one.
    """
    if pairs < LEAST_PAIRS:
        return ()
    random = np.random.default_rng(seed)
    amount = min(max(LEAST_PAIRS, round(SHARE * pairs)), MOST_PAIRS)
    chosen = random.choice(pairs, amount, replace=False)
    while (chosen == np.arange(amount)).any():
        random.shuffle(chosen)
    return tuple(chosen.tolist())


def order_within(order: Sequence[int], pairs: range) -> tuple[int, ...]:
    """Return those of an order that lie in a shard; none at its old place, where there are two."""
    chosen = [pair for pair in order if pair in pairs]
    for _ in chosen:
        if all(pair != pairs[place] for place, pair in enumerate(chosen)):
            break
        chosen = chosen[1:] + chosen[:1]
    return tuple(chosen)


def pass_again(order: tuple[int, ...], first: Callable[[int], Image], again: Again) -> SecondPass:
    """Make the pictures of some pairs once more and compare them, value by value.

    Args:
        order: the pairs, as ``choose_order`` chose them.
        first: returns what the first pass made of a pair.
        again: makes the pictures of some pairs in the given order, with the generator loaded anew.
    """
    try:
        second = again(order)
    except CheckpointRejected as error:
        return SecondPass(order, failure=error.code)
    differences = [
        _difference(first(pair), picture) for pair, picture in zip(order, second, strict=True)
    ]
    return SecondPass(
        order,
        largest=tuple(int(each.max()) for each in differences),
        share=tuple(round(float((each > 0).mean()), 6) for each in differences),
    )


def _difference(first: Image, second: Image) -> NDArray[np.int16]:
    return np.abs(first.astype(np.int16) - second.astype(np.int16))


def _chain(parts: Iterable[tuple[Part, ...]]) -> tuple[Part, ...]:
    return tuple(each for part in parts for each in part)
