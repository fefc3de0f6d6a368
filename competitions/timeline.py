"""The phases of a competition on one scale of time, as a page draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from competitions.models import Phase
from competitions.showcase import Schedule, schedule

# The least that is seen of a phase on a narrow screen, in per cent of the scale.
NARROWEST = 1.5
SHORTEST_SCALE = timedelta(hours=1)


@dataclass(frozen=True)
class Bar:
    """A phase from ``left`` over ``width``; lengths as SVG takes them, the same in any language."""

    phase: Phase
    schedule: Schedule
    left: str
    width: str

    @property
    def is_endless(self) -> bool:
        return self.phase.closes_at is None


@dataclass(frozen=True)
class Timeline:
    bars: Sequence[Bar]
    begins_at: datetime
    ends_at: datetime | None
    """None where a phase never closes."""
    now: str | None
    """Where the present moment is; None once all is over."""
    now_anchor: str
    """Which way the word at the present moment is written, so that it stays inside."""


def draw(phases: Sequence[Phase], *, at: datetime) -> Timeline | None:
    """Put phases on a scale from the first opening, or now if that is earlier, to the last end."""
    if not phases:
        return None
    begins_at = min(phase.opens_at for phase in phases)
    closings = [phase.closes_at for phase in phases]
    known = [*(end for end in closings if end), *(phase.opens_at for phase in phases)]
    start, end = min(begins_at, at), max(known)
    is_endless = None in closings
    if is_endless:
        # Room behind the last date for what goes on.
        end = max(end, at)
        end += max((end - start) / 4, SHORTEST_SCALE)
    scale = max(end - start, SHORTEST_SCALE)

    def place(moment: datetime) -> float:
        return 100 * ((moment - start) / scale)

    bars = []
    for phase in phases:
        left = place(phase.opens_at)
        width = max((place(phase.closes_at) if phase.closes_at else 100) - left, NARROWEST)
        left = min(left, 100 - width)
        bars.append(Bar(phase, schedule([phase], at=at), f"{left:.2f}%", f"{width:.2f}%"))
    here = place(at)
    return Timeline(
        bars=bars,
        begins_at=begins_at,
        ends_at=None if is_endless else max(end for end in closings if end),
        now=f"{here:.2f}%" if here <= 100 else None,
        now_anchor="start" if here < 10 else "end" if here > 90 else "middle",
    )
