"""How much worse scores get when outputs are changed in ways that nobody sees.

A picture that was optimised against the networks themselves is good to the pixel only: moved by
one pixel, saved as JPEG or blurred a little it loses what it won. An honest output hardly changes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from styletransfer.clock import StepClock
from styletransfer.errors import NonFiniteInput
from styletransfer.flags import Flag
from styletransfer.images import pass_through_jpeg
from styletransfer.metric_specs import METRICS
from styletransfer.output_meter import Prepared
from styletransfer.proportion import Ratios, find_excess
from styletransfer.references import Progress
from styletransfer.score_card import ScoreCard
from styletransfer.values import Image
from styletransfer.vgg import to_batch

SHARE = 0.05
LEAST_PAIRS = 4
JPEG_QUALITY = 95
BLUR_SIGMA = 0.5

# Added above and below, as a share of what lies between identity and style paste: a ratio of two
# numbers near zero says nothing.
FLOOR = 0.1

Values = Mapping[str, float]


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
    """Choose a twentieth of the pairs, at least four where there are that many."""
    amount = min(pairs, max(LEAST_PAIRS, round(SHARE * pairs)))
    chosen = np.random.default_rng(seed).choice(pairs, amount, replace=False)
    return tuple(sorted(chosen.tolist()))


@dataclass(frozen=True)
class Anchors:
    """What the disturbances do to the images themselves, on some pairs of a phase.

    Attributes:
        pairs: which; the same for every submission, so that all are compared on equal pairs.
        spans: by metric, what lies between identity and style paste.
        natural: by disturbance and metric, by how much identity or style paste gets worse, the
            one that suffers more.
    """

    pairs: tuple[int, ...]
    spans: Values
    natural: Mapping[str, Values]


def measure_anchors(prepared: Prepared, seed: int) -> Anchors:
    """Measure identity and style paste, undisturbed and disturbed; once per phase."""
    references = prepared.references
    sample = choose_sample(len(references.pairs), seed)
    chosen = [references.pairs[number] for number in sample]
    spans: dict[str, float] = {}
    natural: dict[str, dict[str, float]] = {name: {} for name in DISTURBANCES}
    plain = []
    for images in (
        [references.contents[content] for content, _ in chosen],
        [references.styles[style] for _, style in chosen],
    ):
        before = _measure(prepared, sample, images)
        plain.append(before)
        for name, disturb in DISTURBANCES.items():
            after = _measure(prepared, sample, [disturb(image) for image in images])
            for key, value in after.items():
                natural[name][key] = max(natural[name].get(key, 0.0), value - before[key])
    for key, value in plain[0].items():
        spans[key] = abs(value - plain[1][key])
    return Anchors(sample, spans, natural)


def measure_sensitivity(
    prepared: Prepared,
    anchors: Anchors,
    scored: Callable[[int], Image],
    on_step: Progress | None = None,
) -> Sensitivity:
    """Disturb the outputs of the anchors' pairs and measure their metrics of pairs again.

    Metrics of sets are left out: a distance between so few outputs and the real images is mostly
    a matter of their number.

    Args:
        prepared: what scoring needs.
        anchors: of the same phase.
        scored: returns the output of a pair as it was scored.
        on_step: told about each disturbance that is done.
    """
    sample = anchors.pairs
    outputs = [scored(number) for number in sample]
    ratios: dict[str, dict[str, float]] = {}
    try:
        before = _measure(prepared, sample, outputs)
        for done, (name, disturb) in enumerate(DISTURBANCES.items(), start=1):
            after = _measure(prepared, sample, [disturb(output) for output in outputs])
            ratios[name] = {
                key: round(_ratio(before[key], after[key], anchors, name, key), 6)
                for key in before
                if anchors.spans[key] > 0
            }
            if on_step is not None:
                on_step(done, len(DISTURBANCES))
    except NonFiniteInput:  # finite as scored, infinite now: no ratio says how much worse that is
        return Sensitivity(sample, {})
    return Sensitivity(sample, ratios)


def _ratio(before: float, after: float, anchors: Anchors, name: str, key: str) -> float:
    floor = FLOOR * anchors.spans[key]
    natural = anchors.natural[name][key]
    # What the disturbance costs anybody is no sign of anything; less than before is as good.
    beyond = after - natural if after > before + natural else min(after, before)
    return (beyond + floor) / (before + floor)


def _measure(prepared: Prepared, numbers: Sequence[int], outputs: Sequence[Image]) -> Values:
    """Return how far the outputs are from the best possible on average, by metric."""
    meter = prepared.meter_pairs(StepClock())
    for start in range(0, len(outputs), prepared.batch):
        chosen = slice(start, start + prepared.batch)
        meter.measure(numbers[chosen], to_batch(outputs[chosen], prepared.device))
    return {key: _distance(key, float(found.mean())) for key, found in meter.values().items()}


def _distance(key: str, mean: float) -> float:
    spec = METRICS[key]
    if spec.direction == "lower":
        return mean - (spec.low or 0.0)
    return (1.0 if spec.high is None else spec.high) - mean
