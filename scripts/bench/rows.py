"""What the benchmark finds: one row per figure, with the bar it has to reach and its peer."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """A limit that a figure has to keep."""

    limit: float
    is_least: bool

    def holds(self, value: float) -> bool:
        """Tell whether ``value`` keeps it; NaN never does."""
        # NumPy's own truth can't be written as JSON.
        return bool(value >= self.limit if self.is_least else value <= self.limit)

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {show(self.limit)}"


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: what was measured.
        value: how much of ``unit`` it was here.
        peer: what it is compared with, if anything; ``peer_value`` is of the same unit.
        ratio: how many times the peer needs of what we need.
        bar: what ``ratio`` has to keep where there is one, else ``value``.
    """

    what: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    bar: Bar | None = None

    @property
    def ratio(self) -> float | None:
        """The peer's value over ours."""
        if self.peer_value is None:
            return None
        return self.peer_value / self.value if self.value else float("inf")

    @property
    def is_kept(self) -> bool | None:
        """Whether the bar is kept; None without a bar."""
        if self.bar is None:
            return None
        return self.bar.holds(self.value if self.ratio is None else self.ratio)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "peer": self.peer or None,
            "peer_value": self.peer_value,
            "ratio": self.ratio,
            "bar": str(self.bar) if self.bar else None,
            "is_kept": self.is_kept,
        }


def at_least(limit: float) -> Bar:
    """Return a bar from below."""
    return Bar(limit, is_least=True)


def at_most(limit: float) -> Bar:
    """Return a bar from above."""
    return Bar(limit, is_least=False)


def show(value: float) -> str:
    """Write a number with three digits that say something."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.1e}"
