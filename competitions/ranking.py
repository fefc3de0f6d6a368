"""Ranking as pure functions over plain values; nothing here knows the database."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Key = TypeVar("Key")


def ranking_value(scores: Mapping[str, object], metric: str) -> tuple[float | None, str]:
    """Return the number to rank by, or None and why there is none."""
    score = scores.get(metric)
    value = score.get("value") if isinstance(score, Mapping) else None
    if not isinstance(value, int | float):
        return None, "missing"
    if not math.isfinite(value):
        return None, "not_finite"
    return float(value), ""


def is_better(value: float, than: float, *, direction: str) -> bool:
    return value < than if direction == "lower" else value > than


def rank(
    rows: Iterable[tuple[Key, float | None]], *, direction: str
) -> list[tuple[Key, int | None]]:
    """Order rows best first and give each its place; equal values share one.

    After two firsts comes a third place. Rows without a finite value come last, unranked,
    whichever the direction. Among equals the given order stays.
    """
    sign = 1 if direction == "lower" else -1
    finite: list[tuple[Key, float]] = []
    unranked: list[tuple[Key, int | None]] = []
    for key, value in rows:
        if value is not None and math.isfinite(value):
            finite.append((key, value))
        else:
            unranked.append((key, None))
    finite.sort(key=lambda row: sign * row[1])
    ranked: list[tuple[Key, int | None]] = []
    place, previous = 0, None
    for count, (key, value) in enumerate(finite, start=1):
        if value != previous:
            place, previous = count, value
        ranked.append((key, place))
    return ranked + unranked


def keep_finite(value: Any) -> Any:
    """Return JSON data with null in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: keep_finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [keep_finite(each) for each in value]
    return value
