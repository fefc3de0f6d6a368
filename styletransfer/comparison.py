"""Compare two score cards of the same phase, pair by pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from statistics import fmean
from typing import Any, Literal

from styletransfer.errors import InvalidScoreCard, StyleTransferError
from styletransfer.metric_specs import METRICS
from styletransfer.score_card import ScoreCard

Verdict = Literal["first", "second", "open"]


class NotComparable(StyleTransferError, ValueError):
    """Two cards that measure different things."""


@dataclass(frozen=True)
class Difference:
    """Second card minus first, for one metric.

    Attributes:
        low: end of the 95 % interval of the difference; None for metrics without values of pairs.
        better: which card is the better one; ``open`` where the interval holds 0, or is missing.
    """

    key: str
    first: float
    second: float
    low: float | None
    high: float | None
    better: Verdict

    @property
    def value(self) -> float:
        """How much larger the second value is."""
        return self.second - self.first


def compare_cards(first: ScoreCard, second: ScoreCard) -> list[Difference]:
    """Compare the metrics that both cards hold.

    Values of pairs are resampled together (a paired bootstrap, 1,000 times): what is hard about a
    pair is hard for both, and drops out.

    Args:
        first: a score card.
        second: another one, of the same recipe, reference set, networks and metric versions.

    Raises:
        NotComparable: they differ in one of these, or hold no metric in common.
    """
    seed = _require_same(first, second)
    keys = [key for key in first.scores if key in second.scores]
    if not keys:
        raise NotComparable("the cards have no metric in common")
    return [_difference(key, first, second, seed) for key in keys]


def _require_same(first: ScoreCard, second: ScoreCard) -> int:
    """Return the seed that comparing cards of this reference set draws by."""
    ours, theirs = first.provenance, second.provenance
    try:
        for name, what in (("recipe_sha256", "recipes"), ("references_sha256", "reference sets")):
            if ours[name] != theirs[name]:
                raise NotComparable(
                    f"the cards are of different {what}: {ours[name][:12]} and {theirs[name][:12]}"
                )
        _require_equal_parts(_networks(first), _networks(second), "networks for")
        _require_equal_parts(_versions(first), _versions(second), "versions of")
        return int(ours["references_sha256"][:16], 16)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, NotComparable):
            raise
        raise InvalidScoreCard("not a score card: its provenance is incomplete") from error


def _require_equal_parts(ours: Mapping[str, Any], theirs: Mapping[str, Any], what: str) -> None:
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            raise NotComparable(f"the cards were made with different {what} {name}")


def _networks(card: ScoreCard) -> Mapping[str, Any]:
    return {role: each["sha256"] for role, each in card.provenance["extractors"].items()}


def _versions(card: ScoreCard) -> Mapping[str, Any]:
    if "metrics" in card.provenance:
        return {key: each["version"] for key, each in card.provenance["metrics"].items()}
    return dict(card.provenance["metric_versions"])  # as cards had it at first


def _difference(key: str, first: ScoreCard, second: ScoreCard, seed: int) -> Difference:
    values = first.scores[key].value, second.scores[key].value
    pairs = first.per_pair.get(key), second.per_pair.get(key)
    if pairs[0] is None or pairs[1] is None:
        return Difference(key, *values, None, None, "open")
    low, high = _interval(key, values, (pairs[0], pairs[1]), seed)
    return Difference(key, *values, low, high, _verdict(key, low, high))


def _interval(
    key: str,
    values: tuple[float, float],
    pairs: tuple[Sequence[float], Sequence[float]],
    seed: int,
) -> tuple[float, float]:
    # Loads NumPy, which the web server does without until somebody has two cards to compare.
    from styletransfer.metrics.interval import bootstrap_mean

    if len(pairs[0]) != len(pairs[1]):
        raise NotComparable(f"the cards have {len(pairs[0])} and {len(pairs[1])} pairs")
    for value, some in zip(values, pairs, strict=True):
        # Only scores are hashed: the values of pairs have to bear them out.
        if not some or not isclose(fmean(some), value, rel_tol=1e-9, abs_tol=1e-12):
            raise InvalidScoreCard(f"the values of pairs are not those that {key} is the mean of")
    _, low, high = bootstrap_mean([b - a for a, b in zip(*pairs, strict=True)], seed=seed)
    return low, high


def _verdict(key: str, low: float, high: float) -> Verdict:
    if low <= 0 <= high:
        return "open"
    is_larger_better = key in METRICS and METRICS[key].direction == "higher"
    return "second" if (low > 0) == is_larger_better else "first"
