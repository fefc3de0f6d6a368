"""How much worse scores get when outputs are changed in ways that nobody sees.

A picture that was optimised against the networks themselves is good to the pixel only: moved by
one pixel, saved as JPEG or blurred a little it loses what it won. An honest output hardly changes.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from styletransfer.clock import StepClock
from styletransfer.errors import NonFiniteInput
from styletransfer.feature_cache import recall
from styletransfer.flags import Flag
from styletransfer.images import pass_through_jpeg
from styletransfer.metric_specs import METRICS
from styletransfer.prepared import Prepared
from styletransfer.proportion import Ratios, find_excess
from styletransfer.references import Progress
from styletransfer.score_card import ScoreCard
from styletransfer.values import Image
from styletransfer.vgg import to_batch

SHARE = 0.05
LEAST_PAIRS = 4
MOST_PAIRS = 100
JPEG_QUALITY = 95
BLUR_SIGMA = 0.5

# Added above and below, as a share of what lies between identity and style paste: a ratio of two
# numbers near zero says nothing.
FLOOR = 0.1

Table = Mapping[str, Mapping[str, list[float]]]
"""By disturbance, ``UNDISTURBED`` or one of ``DISTURBANCES``, and by metric: a value per pair."""

UNDISTURBED = "none"
_KINDS = ("identity", "style_paste")


def shift(image: Image) -> Image:
    """Move a picture one pixel right and down, its edge repeated."""
    return np.pad(image, ((1, 0), (1, 0), (0, 0)), mode="edge")[:-1, :-1]


def jpeg(image: Image) -> Image:
    """Save a picture as JPEG of quality 95 and read it again."""
    return pass_through_jpeg(image, quality=JPEG_QUALITY)


def blur(image: Image) -> Image:
    """Blur a picture by a Gaussian with a standard deviation of half a pixel."""
    kernel = np.exp(-(np.arange(-1, 2) ** 2) / (2 * BLUR_SIGMA**2))
    kernel /= kernel.sum()
    height, width = image.shape[:2]
    blurred = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    blurred = sum(weight * blurred[row : row + height] for row, weight in enumerate(kernel))
    blurred = sum(weight * blurred[:, left : left + width] for left, weight in enumerate(kernel))
    pixels: Image = np.rint(blurred).astype(np.uint8)
    return pixels


DISTURBANCES: Mapping[str, Callable[[Image], Image]] = {"shift": shift, "jpeg": jpeg, "blur": blur}


@dataclass(frozen=True)
class Sensitivity:
    """What came of it.

    Attributes:
        pairs: whose outputs were disturbed.
        ratios: how many times as bad each metric of pairs got, beyond what the same disturbance
            does to the images that are returned by identity and style paste.
    """

    pairs: tuple[int, ...]
    ratios: Ratios

    def flags(self) -> list[Flag]:
        """Return a flag for each metric that gets worse than any honest output's did."""
        return [
            Flag("sensitive", self.pairs, each.value, each.metric, each.disturbance)
            for each in find_excess(self.ratios)
        ]

    def add_to(self, card: ScoreCard) -> ScoreCard:
        """Return the card with what was found; its scores stay as they are."""
        flags = [flag.to_json() for flag in self.flags()]
        return card.with_guard("sensitivity", asdict(self), flags)


def choose_sample(pairs: int, seed: int) -> tuple[int, ...]:
    """Choose a twentieth of the pairs, at least four where there are that many, at most 100."""
    amount = min(pairs, max(LEAST_PAIRS, round(SHARE * pairs)), MOST_PAIRS)
    chosen = np.random.default_rng(seed).choice(pairs, amount, replace=False)
    return tuple(sorted(chosen.tolist()))


@dataclass(frozen=True)
class Disturbed:
    """Metrics of some pairs' outputs as they are and under each disturbance.

    And of the content and the style images that identity and style paste return for these pairs:
    what a disturbance does to those, it does to anybody.

    Attributes:
        pairs: which.
        outputs: None where a value was not finite: no ratio says how much worse that is.
    """

    pairs: tuple[int, ...]
    outputs: Table | None
    identity: Table
    style_paste: Table

    @classmethod
    def join(cls, parts: "Sequence[Disturbed]") -> "Disturbed":
        """Return what was measured in several pieces as if it had been in one."""
        outputs = [part.outputs for part in parts if part.outputs is not None]
        return cls(
            tuple(pair for part in parts for pair in part.pairs),
            _join(outputs) if len(outputs) == len(parts) else None,
            _join([part.identity for part in parts]),
            _join([part.style_paste for part in parts]),
        )

    def judge(self) -> Sensitivity:
        """Compare how much worse the outputs got with how much worse the images did."""
        if self.outputs is None:
            return Sensitivity(self.pairs, {})
        found, identity, paste = (
            _distances(table) for table in (self.outputs, self.identity, self.style_paste)
        )
        plain = identity[UNDISTURBED]
        spans = {key: abs(value - paste[UNDISTURBED][key]) for key, value in plain.items()}
        ratios: dict[str, dict[str, float]] = {}
        for name in DISTURBANCES:
            ratios[name] = {}
            for key, before in found[UNDISTURBED].items():
                # The one of the two that suffers more.
                natural = max(
                    0.0, *(each[name][key] - each[UNDISTURBED][key] for each in (identity, paste))
                )
                if spans[key] > 0:
                    ratio = _ratio(before, found[name][key], FLOOR * spans[key], natural)
                    ratios[name][key] = round(ratio, 6)
        return Sensitivity(self.pairs, ratios)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"pairs": list(self.pairs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Disturbed":
        """Read what ``to_json`` wrote."""
        return cls(**{**data, "pairs": tuple(data["pairs"])})


def measure_anchors(prepared: Prepared, pairs: Sequence[int]) -> tuple[Table, Table]:
    """Measure what identity and style paste return for some pairs; once per phase."""
    references = prepared.references
    chosen = [references.pairs[number] for number in pairs]
    return (
        _measure_all(prepared, pairs, [references.contents[content] for content, _ in chosen]),
        _measure_all(prepared, pairs, [references.styles[style] for _, style in chosen]),
    )


def recall_anchors(
    prepared: Prepared, pairs: Sequence[int], folder: Path | None, key: str
) -> tuple[Table, Table]:
    """Return what ``measure_anchors`` finds, from the cache where it is there."""

    def make() -> dict[str, Tensor]:
        return {
            f"{kind}.{name}.{metric}": torch.tensor(values, dtype=torch.float64)
            for kind, table in zip(_KINDS, measure_anchors(prepared, pairs), strict=True)
            for name, metrics in table.items()
            for metric, values in metrics.items()
        }

    read = recall(folder, key, make)
    metrics = [metric for metric in prepared.recipe.measured if METRICS[metric].per_pair]
    identity, style_paste = (
        {
            name: {metric: read(f"{kind}.{name}.{metric}").tolist() for metric in metrics}
            for name in (UNDISTURBED, *DISTURBANCES)
        }
        for kind in _KINDS
    )
    return identity, style_paste


def measure_disturbed(
    prepared: Prepared,
    pairs: Sequence[int],
    anchors: tuple[Table, Table],
    scored: Callable[[int], Image],
    on_step: Progress | None = None,
) -> Disturbed:
    """Disturb the outputs of some pairs and measure their metrics of pairs again.

    Metrics of sets are left out: a distance between so few outputs and the real images is mostly
    a matter of their number.

    Args:
        prepared: what scoring needs.
        pairs: which.
        anchors: what ``measure_anchors`` found for these pairs.
        scored: returns the output of a pair as it was scored.
        on_step: told about each disturbance that is done.
    """
    outputs: Table | None = None
    with contextlib.suppress(NonFiniteInput):  # finite as scored, infinite now
        outputs = _measure_all(prepared, pairs, [scored(number) for number in pairs], on_step)
    return Disturbed(tuple(pairs), outputs, *anchors)


def _ratio(before: float, after: float, floor: float, natural: float) -> float:
    # What the disturbance costs anybody is no sign of anything; less than before is as good.
    beyond = after - natural if after > before + natural else min(after, before)
    return (beyond + floor) / (before + floor)


def _measure_all(
    prepared: Prepared,
    pairs: Sequence[int],
    images: Sequence[Image],
    on_step: Progress | None = None,
) -> Table:
    found = {UNDISTURBED: _measure(prepared, pairs, images)}
    for done, (name, disturb) in enumerate(DISTURBANCES.items(), start=1):
        found[name] = _measure(prepared, pairs, [disturb(image) for image in images])
        if on_step is not None:
            on_step(done, len(DISTURBANCES))
    return found


def _measure(
    prepared: Prepared, pairs: Sequence[int], images: Sequence[Image]
) -> dict[str, list[float]]:
    meter = prepared.meter_pairs(StepClock())
    for start in range(0, len(images), prepared.batch):
        chosen = slice(start, start + prepared.batch)
        meter.measure(pairs[chosen], to_batch(images[chosen], prepared.device))
    return {key: found.tolist() for key, found in meter.values().items()}


def _join(tables: Sequence[Table]) -> Table:
    return {
        name: {key: [value for table in tables for value in table[name][key]] for key in metrics}
        for name, metrics in tables[0].items()
    }


def _distances(table: Table) -> Mapping[str, Mapping[str, float]]:
    """Return how far the mean of each metric is from the best possible."""
    return {
        name: {key: _distance(key, float(np.mean(values))) for key, values in metrics.items()}
        for name, metrics in table.items()
    }


def _distance(key: str, mean: float) -> float:
    spec = METRICS[key]
    if spec.direction == "lower":
        return mean - (spec.low or 0.0)
    return (1.0 if spec.high is None else spec.high) - mean
