"""What is taken while the rest is made: order, failures of either side, nothing left running."""

import threading
from collections.abc import Callable

import pytest

from evaluation.overlap import take_while_made

Put = Callable[[int], None]
GaveUp = Callable[[], bool]


def test_items_are_taken_in_order_while_others_are_made() -> None:
    was_taken = threading.Event()
    taken: list[int] = []

    def make(put: Put, gave_up: GaveUp) -> str:
        put(1)
        assert was_taken.wait(30), "nothing was taken before everything was made"
        put(2)
        return "made"

    def take(item: int) -> None:
        taken.append(item)
        was_taken.set()

    assert take_while_made(make, take) == "made"
    assert taken == [1, 2]


def test_nothing_is_taken_before_the_end_where_there_are_no_cores_for_both() -> None:
    log: list[str] = []

    def make(put: Put, gave_up: GaveUp) -> None:
        for item in (1, 2):
            put(item)
            log.append(f"made {item}")

    take_while_made(make, lambda item: log.append(f"took {item}"), at_once=False)
    assert log == ["made 1", "made 2", "took 1", "took 2"]


def test_the_maker_gives_up_when_nothing_can_be_taken() -> None:
    asked = threading.Event()

    def make(put: Put, gave_up: GaveUp) -> None:
        put(1)
        while not gave_up():
            asked.wait(0.01)
        raise RuntimeError("stopped")

    def take(item: int) -> None:
        raise ValueError("can't be scored")

    with pytest.raises(ValueError, match="can't be scored"):
        take_while_made(make, take)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_failure_of_the_maker_is_told(at_once: bool) -> None:
    def make(put: Put, gave_up: GaveUp) -> None:
        put(1)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        take_while_made(make, lambda item: None, at_once=at_once)
