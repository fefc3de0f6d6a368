"""Bring each step its pictures, the next step's while this one computes."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from styletransfer.training.pictures import Pictures
from styletransfer.training.sampling import Hand, Sampler, Sizes

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingPictures:
    """What is trained on; ``reals`` are what the discriminator is to call real."""

    contents: Pictures
    styles: Pictures
    reals: Pictures

    @property
    def sizes(self) -> Sizes:
        return Sizes(len(self.contents), len(self.reals), len(self.styles))


@dataclass(frozen=True)
class Batch:
    """The pictures of one step, or a part of them.

    Attributes:
        numbers: of the contents; ``style_numbers`` of the styles, if the generator takes any.
        contents, styles, reals, negatives: (n, 3, h, w) in 0..1; empty where none were dealt.
    """

    numbers: Sequence[int]
    style_numbers: Sequence[int]
    contents: Tensor
    styles: Tensor
    reals: Tensor
    negatives: Tensor

    def split(self, parts: int) -> Iterator["Batch"]:
        """Cut what the generator sees into equal parts."""
        count = len(self.numbers) // parts
        for begin in range(0, len(self.numbers), count):
            part = slice(begin, begin + count)
            yield replace(
                self,
                numbers=self.numbers[part],
                style_numbers=self.style_numbers[part],
                contents=self.contents[part],
                styles=self.styles[part],
            )


class Feeder:
    """Deals hands and reads their pictures, one step ahead, in a thread of its own."""

    def __init__(
        self,
        pictures: TrainingPictures,
        sampler: Sampler,
        *,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.pictures, self.sampler, self.device = pictures, sampler, device
        self.rank, self.world = rank, world
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._ahead: Future[Batch] | None = None
        self._state = sampler.state()

    def next(self, *, is_last: bool = False) -> Batch:
        """Return the next step's pictures; after the last no further ones are read."""
        ahead = self._ahead or self._read_ahead()
        batch = ahead.result()
        self._state = self.sampler.state()
        self._ahead = None if is_last else self._read_ahead()
        return batch

    def state(self) -> dict[str, Any]:
        """Return what the next steps depend on; what was read ahead is not done yet."""
        return self._state

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Go on from a state."""
        self._ahead = None
        self.sampler.restore(state)
        self._state = self.sampler.state()
        return self

    def close(self) -> None:
        """Read no more."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _read_ahead(self) -> Future[Batch]:
        return self._thread.submit(self._read, self.sampler.deal())

    def _read(self, hand: Hand) -> Batch:
        return Batch(
            numbers=self._mine(hand.contents),
            style_numbers=self._mine(hand.styles),
            contents=self._take(self.pictures.contents, hand.contents, 2 * hand.step),
            styles=self._take(self.pictures.styles, hand.styles, 2 * hand.step),
            reals=self._take(self.pictures.reals, hand.reals, 2 * hand.step),
            negatives=self._take(self.pictures.contents, hand.negatives, 2 * hand.step + 1),
        )

    def _take(self, source: Pictures, numbers: Sequence[int], draw: int) -> Tensor:
        mine = self._mine(numbers)
        if not mine:
            return torch.empty(0)
        places = [(draw, slot) for slot in range(len(numbers))]
        return source.take(mine, self._mine(places)).to(self.device, non_blocking=True)

    def _mine(self, dealt: Sequence[T]) -> Sequence[T]:
        """Return this process's share of what was dealt for all of them."""
        share = len(dealt) // self.world
        return dealt[self.rank * share : (self.rank + 1) * share]
