"""Where phases stand on the time line."""

from datetime import UTC, datetime, timedelta

from competitions.models import Phase
from competitions.showcase import State
from competitions.timeline import draw

START = datetime(2026, 3, 1, tzinfo=UTC)


def make(first: float, last: float | None) -> Phase:
    return Phase(opens_at=day(first), closes_at=None if last is None else day(last))


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def test_phases_lie_on_one_scale_with_the_present_moment() -> None:
    line = draw([make(0, 50), make(50, 100)], at=day(25))
    assert line is not None
    assert [(bar.left, bar.width) for bar in line.bars] == [
        ("0.00%", "50.00%"),
        ("50.00%", "50.00%"),
    ]
    assert line.now == "25.00%"
    assert [bar.schedule.state for bar in line.bars] == [State.OPEN, State.UPCOMING]


def test_the_scale_begins_now_if_nothing_has_opened_and_ends_with_the_last_phase() -> None:
    early, late = draw([make(10, 20)], at=day(0)), draw([make(0, 10)], at=day(400))
    assert early is not None
    assert late is not None
    assert (early.now, early.now_anchor) == ("0.00%", "start")
    assert early.bars[0].left == "50.00%"
    assert late.now is None
    assert (late.bars[0].left, late.bars[0].width) == ("0.00%", "100.00%")


def test_a_phase_without_end_goes_on_beyond_now_and_all_dates() -> None:
    line = draw([make(0, None), make(0, 40)], at=day(80))
    assert line is not None
    assert line.ends_at is None
    assert [bar.width for bar in line.bars] == ["100.00%", "40.00%"]
    assert line.now == "80.00%"
    assert [bar.is_endless for bar in line.bars] == [True, False]


def test_a_short_phase_is_still_seen_and_stays_inside() -> None:
    line = draw([make(0, 1000), make(999.9, 1000)], at=day(1))
    assert line is not None
    assert (line.bars[1].left, line.bars[1].width) == ("98.50%", "1.50%")


def test_equal_dates_and_no_phases_are_drawn_without_a_fault() -> None:
    assert draw([], at=START) is None
    line = draw([make(0, 0)], at=START)
    assert line is not None
    assert line.bars[0].width == "1.50%"
