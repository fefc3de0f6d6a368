"""Which of many are beaten by none in both of two values; plain numbers, no database."""

from collections.abc import Iterable
from typing import TypeVar

Key = TypeVar("Key")


def pareto_front(points: Iterable[tuple[Key, float, float]]) -> list[Key]:
    """Return the keys of the points that none dominates, where lower is better in both.

    A point dominates another that it is no worse than in either value and better than in one, so
    equal points are on the front together or not at all. Ordered by the first value; equals stay
    as they came.
    """
    front: list[Key] = []
    corner: tuple[float, float] | None = None
    for key, x, y in sorted(points, key=lambda point: (point[1], point[2])):
        if corner is None or y < corner[1] or (x, y) == corner:
            front.append(key)
            corner = (x, y)
    return front
