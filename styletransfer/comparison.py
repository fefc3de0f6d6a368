"""Compare two score cards of the same phase, pair by pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from styletransfer.errors import StyleTransferError
from styletransfer.metrics.interval import bootstrap_mean
from styletransfer.values import METRICS

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


def compare_cards(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Compare the metrics that both cards hold.

    Values of pairs are resampled together (a paired bootstrap, 1,000 times): what is hard about a
    pair is hard for both, and drops out.

    Args:
        first: a score card as ``ScoreCard.to_json`` writes it.
        second: another one, of the same recipe and reference set.

    Raises:
        NotComparable: recipe or reference set differ, or a card lacks what a card has.
    """
    _require_same(first, second)
    seed = int(str(first["provenance"]["references_sha256"])[:16], 16)
    keys = [key for key in first["scores"] if key in second["scores"]]
    return [_difference(key, first, second, seed) for key in keys]


def _require_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    for name, what in (("recipe_sha256", "recipes"), ("references_sha256", "reference sets")):
        try:
            ours, theirs = first["provenance"][name], second["provenance"][name]
        except (KeyError, TypeError) as error:
            raise NotComparable(f"not a score card: {name} is missing") from error
        if ours != theirs:
            raise NotComparable(f"the cards are of different {what}: {ours[:12]} and {theirs[:12]}")


def _difference(
    key: str, first: Mapping[str, Any], second: Mapping[str, Any], seed: int
) -> Difference:
    values = [float(card["scores"][key]["value"]) for card in (first, second)]
    pairs = [card.get("per_pair", {}).get(key) for card in (first, second)]
    if pairs[0] is None or pairs[1] is None:
        return Difference(key, values[0], values[1], None, None, "open")
    low, high = _interval(pairs[0], pairs[1], seed)
    return Difference(key, values[0], values[1], low, high, _verdict(key, low, high))


def _interval(first: Sequence[float], second: Sequence[float], seed: int) -> tuple[float, float]:
    if len(first) != len(second):
        raise NotComparable(f"the cards have {len(first)} and {len(second)} pairs")
    differences = [b - a for a, b in zip(first, second, strict=True)]
    _, low, high = bootstrap_mean(differences, seed=seed)
    return low, high


def _verdict(key: str, low: float, high: float) -> Verdict:
    if low <= 0 <= high:
        return "open"
    is_larger_better = key in METRICS and METRICS[key].direction == "higher"
    return "second" if (low > 0) == is_larger_better else "first"
