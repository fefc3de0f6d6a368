"""The front of two losses, against its definition asked of every pair."""

import random

import pytest

from competitions.pareto import pareto_front

Points = list[tuple[int, float, float]]


def dominated(points: Points, x: float, y: float) -> bool:
    return any(a <= x and b <= y and (a < x or b < y) for _key, a, b in points)


@pytest.mark.parametrize("seed", range(60))
def test_the_front_is_what_no_point_dominates(seed: int) -> None:
    # A grid of few values makes ties in one value and equal points frequent.
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    values = [0.0, 0.25, 0.5, 1.0, 1e-300, 1e300][: draw.randint(1, 6)]
    points = [(key, draw.choice(values), draw.choice(values)) for key in range(draw.randint(0, 30))]
    expected = {key for key, x, y in points if not dominated(points, x, y)}
    assert set(pareto_front(points)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_the_front_falls_from_left_to_right(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    points = [(key, draw.random(), draw.random()) for key in range(40)]
    front = [points[key] for key in pareto_front(points)]
    assert [x for _key, x, _y in front] == sorted(x for _key, x, _y in front)
    assert [y for _key, _x, y in front] == sorted((y for _key, _x, y in front), reverse=True)


def test_equal_points_are_on_the_front_together_as_they_came() -> None:
    points = [("b", 1.0, 1.0), ("a", 1.0, 1.0), ("worse", 1.0, 2.0), ("left", 0.5, 3.0)]
    assert pareto_front(points) == ["left", "b", "a"]


def test_nobody_is_on_the_front_of_an_empty_board() -> None:
    assert pareto_front([]) == []
