"""The teams of a board as points of content against style, and the front that none beats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.urls import reverse
from django.utils.translation import gettext as _

from competitions.board import BoardRow
from competitions.board_table import Column
from competitions.models import Team
from competitions.pareto import pareto_front
from competitions.templatetags.scores import score

# The first two that the recipe measures both of; lower is better in each.
AXES = (("content", "style"), ("content_relative", "style_relative"))


@dataclass(frozen=True)
class Point:
    team: Team
    kind: Literal["team", "own", "baseline"]
    rank: int | None
    x: float
    y: float
    url: str

    def to_json(self, text: str) -> dict[str, Any]:
        return {
            "x": self.x,
            "y": self.y,
            "kind": self.kind,
            "team": self.team.name,
            "text": text,
            "url": self.url,
        }


@dataclass(frozen=True)
class Chart:
    x: Column
    y: Column
    points: Sequence[Point]
    front: Sequence[Point]

    @property
    def data(self) -> dict[str, Any]:
        """Return what the page's script draws; every text is written here already."""
        places = {point: index for index, point in enumerate(self.points)}
        return {
            "points": [point.to_json(self._text(point)) for point in self.points],
            "front": [places[point] for point in self.front],
        }

    @property
    def kinds(self) -> set[str]:
        return {point.kind for point in self.points}

    def _text(self, point: Point) -> str:
        values = {
            "x_name": self.x.metric.short,
            "x": score(point.x, self.x.metric.key),
            "y_name": self.y.metric.short,
            "y": score(point.y, self.y.metric.key),
            "rank": point.rank,
        }
        if point.rank is None:
            return _("%(x_name)s %(x)s, %(y_name)s %(y)s, not ranked") % values
        return _("%(x_name)s %(x)s, %(y_name)s %(y)s, rank %(rank)s") % values


def board_chart(
    rows: Sequence[BoardRow], columns: Sequence[Column], *, own: Team | None
) -> Chart | None:
    """Return the chart of a board; None where the recipe lacks the axes or nobody has both."""
    by_key = {column.metric.key: column for column in columns}
    axes = next((pair for pair in AXES if all(key in by_key for key in pair)), None)
    if axes is None:
        return None
    points = [point for row in rows if (point := _point(row, axes, own=own))]
    if not points:
        return None
    front = pareto_front((point, point.x, point.y) for point in points)
    return Chart(by_key[axes[0]], by_key[axes[1]], points, front)


def _point(row: BoardRow, axes: tuple[str, str], *, own: Team | None) -> Point | None:
    x, y = (_value(row, key) for key in axes)
    if x is None or y is None:
        return None
    team = row.entry.team
    return Point(
        team=team,
        kind="own" if team == own else "baseline" if team.is_baseline else "team",
        rank=row.rank,
        x=x,
        y=y,
        url=reverse("submission", args=[row.entry.submission_id]),
    )


def _value(row: BoardRow, key: str) -> float | None:
    found = row.entry.scores.get(key)
    value = found.get("value") if isinstance(found, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
