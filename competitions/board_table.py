"""The leaderboard as a table: columns of the recipe, one page of rows, ready to be shown."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator

from competitions.board import BoardRow, board_rows
from competitions.metric_texts import MetricText, describe_metric
from competitions.models import LeaderboardEntry, Phase
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


@dataclass(frozen=True)
class BoardTable:
    columns: Sequence[Column]
    rows: Sequence[Row]
    page: Page[BoardRow]
    version: str
    """Equal for equal content: a page that refreshes itself is spared what it shows already."""


def board_table(phase: Phase, *, page: str | None) -> BoardTable:
    """Return one page of the board; a number out of range gives the nearest page."""
    columns = columns_of(phase)
    shown = Paginator(board_rows(phase), ROWS_PER_PAGE).get_page(page)
    rows = [
        Row(row.rank, row.entry, [_cell(column, row.entry) for column in columns]) for row in shown
    ]
    return BoardTable(columns, rows, shown, _version(shown))


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


def _cell(column: Column, entry: LeaderboardEntry) -> Cell:
    key = column.metric.key
    found: dict[str, Any] = entry.scores.get(key) or {}
    low, high = found.get("low"), found.get("high")
    interval = "" if low is None else f"{bound(low, key)} … {bound(high, key)}"
    return Cell(score(found.get("value"), key), interval, column.is_ranking)


def _version(page: Page[BoardRow]) -> str:
    shown = [(row.rank, row.entry.submission_id, row.entry.team.name) for row in page]
    described = repr((shown, page.number, page.paginator.count))
    return hashlib.sha256(described.encode()).hexdigest()[:16]
