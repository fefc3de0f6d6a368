"""Watch a training for what GANs are known to do: burst, and collapse.

A guard only looks. What is done about it is the trainer's: see ``REMEDIES``.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.training.events import Trouble

# Of the median of the last losses: one that is so much larger, or ten that are on average.
_HISTORY, _FEWEST = 100, 20
_SUDDEN, _LASTING = 5.0, 2.5
_CALM = 2.0
# A discriminator wins outright where for so many steps it scores paintings near 1, outputs near 0.
_PATIENCE = 100
_SEPARATION = 0.95
# Outputs that differ so much less among each other than they once did have collapsed.
_SEEN, _THUMBNAIL = 16, 8
_COLLAPSED = 0.2


@dataclass(frozen=True)
class Remedy:
    """What is done about a trouble.

    Attributes:
        goes_back: states to go back, 1 for the last good one; 0 to stay.
        slows_generator, slows_discriminator: what learning rates are multiplied by.
        text: for people.
    """

    goes_back: int
    slows_generator: float
    slows_discriminator: float
    text: str


REMEDIES: Mapping[Trouble, Remedy] = {
    "non_finite": Remedy(1, 0.5, 0.5, "went back to the last good state, both rates halved"),
    "spike": Remedy(1, 0.5, 0.5, "went back to the last good state, both rates halved"),
    "discriminator_wins": Remedy(0, 1.0, 0.5, "the discriminator's rate was halved"),
    "collapse": Remedy(2, 0.5, 0.5, "went back two states, both rates halved"),
}


@dataclass(frozen=True)
class Finding:
    """What a guard saw."""

    trouble: Trouble
    text: str


class Guards:
    """Keeps the last steps' figures and says when they mean trouble."""

    def __init__(self) -> None:
        self.totals: deque[float] = deque(maxlen=_HISTORY)
        self.separations: deque[float] = deque(maxlen=_PATIENCE)
        self.diversities: deque[float] = deque(maxlen=_FEWEST)
        self.best_diversity = 0.0

    def look(
        self, total: float, separation: float | None, diversity: float | None
    ) -> Finding | None:
        """Look at one step's figures: the total loss, D's mean score of paintings minus outputs."""
        finding = self._look_at_total(total)
        if finding:
            return finding
        self.totals.append(total)
        return self._look_at_diversity(diversity) or self._look_at_separation(separation)

    @property
    def are_calm(self) -> bool:
        """Tell whether the last loss is a usual one, so that its state may be called good."""
        return len(self.totals) < _FEWEST or self.totals[-1] <= _CALM * median(self.totals)

    def begin_again(self) -> None:
        """Forget what led to a rollback; how diverse outputs once were is kept."""
        for figures in (self.totals, self.separations, self.diversities):
            figures.clear()

    def _look_at_total(self, total: float) -> Finding | None:
        if not math.isfinite(total):
            return Finding("non_finite", "the losses are not finite")
        if len(self.totals) < _FEWEST:
            return None
        usual = median(self.totals)
        recent = fmean([*list(self.totals)[-9:], total])
        if total > _SUDDEN * usual or recent > _LASTING * usual:
            return Finding("spike", f"a total of {total:.3g} where {usual:.3g} is usual")
        return None

    def _look_at_diversity(self, diversity: float | None) -> Finding | None:
        if diversity is None:
            return None
        self.diversities.append(diversity)
        if len(self.diversities) < _FEWEST:
            return None
        usual = median(self.diversities)
        self.best_diversity = max(self.best_diversity, usual)
        if usual < _COLLAPSED * self.best_diversity:
            return Finding(
                "collapse",
                f"outputs differ {usual:.2f} times as much as their photographs, "
                f"{self.best_diversity:.2f} times they did",
            )
        return None

    def _look_at_separation(self, separation: float | None) -> Finding | None:
        if separation is None:
            return None
        self.separations.append(separation)
        if len(self.separations) < _PATIENCE or fmean(self.separations) < _SEPARATION:
            return None
        mean = fmean(self.separations)
        self.separations.clear()
        return Finding(
            "discriminator_wins",
            f"for {_PATIENCE} steps the discriminator told paintings from outputs by {mean:.2f} of "
            "1: it teaches the generator little",
        )

    def state(self) -> dict[str, Any]:
        """Return what the next findings depend on."""
        return {
            "totals": list(self.totals),
            "separations": list(self.separations),
            "diversities": list(self.diversities),
            "best_diversity": self.best_diversity,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.begin_again()
        self.totals.extend(state["totals"])
        self.separations.extend(state["separations"])
        self.diversities.extend(state["diversities"])
        self.best_diversity = state["best_diversity"]


class Diversity:
    """How much outputs differ among each other, of how much their photographs do."""

    def __init__(self) -> None:
        self.outputs: deque[Tensor] = deque(maxlen=_SEEN)
        self.contents: deque[Tensor] = deque(maxlen=_SEEN)

    def add(self, outputs: Tensor, contents: Tensor) -> float | None:
        """Take in a batch; None while too few pictures were seen."""
        self.outputs.extend(_shrink(outputs))
        self.contents.extend(_shrink(contents))
        if len(self.outputs) < _SEEN:
            return None
        ours, theirs = (_spread(some) for some in (self.outputs, self.contents))
        return ours / theirs if theirs else None

    def state(self) -> dict[str, Any]:
        """Return what was seen last."""
        return {"outputs": list(self.outputs), "contents": list(self.contents)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for name in ("outputs", "contents"):
            getattr(self, name).clear()
            getattr(self, name).extend(state[name])


def _shrink(pictures: Tensor) -> list[Tensor]:
    small = F.interpolate(pictures.detach().float(), (_THUMBNAIL, _THUMBNAIL), mode="area")
    return list(small.flatten(1).cpu())


def _spread(thumbnails: deque[Tensor]) -> float:
    return float(torch.pdist(torch.stack(list(thumbnails))).mean())
