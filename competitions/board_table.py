"""The leaderboard as a table: columns of the recipe, one page of rows, ready to be shown."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator

from competitions.board import BoardRow
from competitions.metric_texts import MetricText, describe_metric
from competitions.models import LeaderboardEntry, Phase, Team
from competitions.templatetags.scores import bound, score

ROWS_PER_PAGE = 50


@dataclass(frozen=True)
class Column:
    metric: MetricText
    direction: str
    is_ranking: bool


@dataclass(frozen=True)
class Cell:
    """A score as it is written: a template that formats hundreds of numbers takes its time."""

    value: str
    interval: str
    is_ranking: bool


@dataclass(frozen=True)
class Row:
    rank: int | None
    entry: LeaderboardEntry
    cells: Sequence[Cell]
    is_own: bool


@dataclass(frozen=True)
class OwnPlace:
    """Where the viewer's team stands, and on which page of the whole board."""

    rank: int | None
    page: int
    anchor: str


@dataclass(frozen=True)
class BoardTable:
    columns: Sequence[Column]
    rows: Sequence[Row]
    page: Page[BoardRow]
    search: str
    total: int
    """Rows of the whole board, whatever is searched for."""
    own: OwnPlace | None
    version: str
    """Equal for equal content: a page that refreshes itself is spared what it shows already."""


def board_table(
    phase: Phase,
    rows: Sequence[BoardRow],
    *,
    page: str | None = None,
    search: str = "",
    own: Team | None = None,
    per_page: int = ROWS_PER_PAGE,
) -> BoardTable:
    """Return one page of the board; a number out of range gives the nearest page.

    Args:
        phase: whose board it is.
        rows: the whole board, as ``board_rows`` gives it.
        page: number of the page, as an address has it.
        search: keep the teams whose names contain this, whatever the case.
        own: the viewer's team, whose row is marked.
        per_page: rows on a page.
    """
    columns = columns_of(phase)
    wanted = _folded(search)
    found = [row for row in rows if wanted in _folded(row.entry.team.name)] if wanted else rows
    shown = Paginator(found, per_page).get_page(page)
    return BoardTable(
        columns=columns,
        rows=[
            Row(
                rank=row.rank,
                entry=row.entry,
                cells=[_cell(column, row.entry) for column in columns],
                is_own=row.entry.team == own,
            )
            for row in shown
        ],
        page=shown,
        search=search,
        total=len(rows),
        own=_own_place(rows, own),
        version=_version(rows, shown),
    )


def columns_of(phase: Phase) -> list[Column]:
    """Return the recipe's metrics, the one that decides first."""
    keys = list(phase.recipe.as_value().measured)
    if phase.ranking_metric not in keys:
        keys.append(phase.ranking_metric)
    keys.sort(key=lambda key: key != phase.ranking_metric)
    columns = []
    for key in keys:
        metric = describe_metric(key)
        is_ranking = key == phase.ranking_metric
        direction = phase.ranking_direction if is_ranking else metric.direction
        columns.append(Column(metric, direction, is_ranking))
    return columns


def _folded(text: str) -> str:
    """Fold case and full-width letters, so that a name is found as people type it."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _cell(column: Column, entry: LeaderboardEntry) -> Cell:
    key = column.metric.key
    found: dict[str, Any] = entry.scores.get(key) or {}
    low, high = found.get("low"), found.get("high")
    interval = "" if low is None else f"{bound(low, key)} … {bound(high, key)}"
    return Cell(score(found.get("value"), key), interval, column.is_ranking)


def _own_place(rows: Sequence[BoardRow], own: Team | None) -> OwnPlace | None:
    for index, row in enumerate(rows):
        if row.entry.team == own:
            return OwnPlace(row.rank, index // ROWS_PER_PAGE + 1, f"team-{row.entry.team.pk}")
    return None


def _version(rows: Sequence[BoardRow], page: Page[BoardRow]) -> str:
    # Of the whole board: the chart and one's own place change with any row.
    known = [(row.rank, row.entry.submission_id, row.entry.team.name) for row in rows]
    described = repr((known, page.number, page.paginator.per_page))
    return hashlib.sha256(described.encode()).hexdigest()[:16]
