import math
from typing import Any

import pytest

from competitions.ranking import is_better, keep_finite, rank, ranking_value


def places(values: list[float | None], direction: str) -> dict[int, int | None]:
    return dict(rank(enumerate(values), direction=direction))


def test_the_lowest_comes_first_where_lower_is_better() -> None:
    assert rank([("a", 3.0), ("b", 1.0), ("c", 2.0)], direction="lower") == [
        ("b", 1),
        ("c", 2),
        ("a", 3),
    ]


def test_the_highest_comes_first_where_higher_is_better() -> None:
    assert rank([("a", 3.0), ("b", -1.0), ("c", 4.0)], direction="higher") == [
        ("c", 1),
        ("a", 2),
        ("b", 3),
    ]


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_equal_values_share_a_place_and_the_next_one_is_left_out(direction: str) -> None:
    assert sorted(place or 0 for place in places([1.0, 1.0, 1.0], direction).values()) == [1] * 3
    best, worst = (1.0, 2.0) if direction == "lower" else (2.0, 1.0)
    assert places([best, worst, best, worst], direction) == {0: 1, 2: 1, 1: 3, 3: 3}


def test_values_a_hair_apart_do_not_share_a_place() -> None:
    assert places([1.0, math.nextafter(1.0, 2.0)], "lower") == {0: 1, 1: 2}


@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_what_is_missing_or_not_finite_is_never_ranked(direction: str, bad: float | None) -> None:
    ranked = rank([("bad", bad), ("good", 5.0), ("other", 7.0)], direction=direction)
    assert ranked[-1] == ("bad", None)
    assert {place for _key, place in ranked[:2]} == {1, 2}


def test_equals_stay_in_the_order_they_came_in() -> None:
    assert [key for key, _place in rank([("a", 1.0), ("b", 1.0)], direction="higher")] == ["a", "b"]


def test_an_empty_board_is_empty() -> None:
    assert rank([], direction="lower") == []


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"total": {"value": 1.5}}, (1.5, "")),
        ({"total": {"value": 0}}, (0.0, "")),
        ({"total": {"value": -0.0}}, (0.0, "")),
        ({"other": {"value": 1.5}}, (None, "missing")),
        ({"total": {}}, (None, "missing")),
        ({"total": {"value": None}}, (None, "missing")),
        ({"total": {"value": "1.5"}}, (None, "missing")),
        ({"total": 1.5}, (None, "missing")),
        ({"total": {"value": math.nan}}, (None, "not_finite")),
        ({"total": {"value": math.inf}}, (None, "not_finite")),
    ],
)
def test_only_a_finite_number_is_ranked_by(scores: dict[str, Any], expected: Any) -> None:
    assert ranking_value(scores, "total") == expected


def test_equal_is_not_better() -> None:
    for direction in ("lower", "higher"):
        assert not is_better(1.0, 1.0, direction=direction)
    assert is_better(1.0, 2.0, direction="lower")
    assert is_better(2.0, 1.0, direction="higher")


def test_numbers_that_json_lacks_become_null_wherever_they_are() -> None:
    deep = {"a": [1, math.nan, {"b": math.inf}], "c": "NaN", "d": 1.0, "e": (-math.inf,)}
    assert keep_finite(deep) == {"a": [1, None, {"b": None}], "c": "NaN", "d": 1.0, "e": [None]}
