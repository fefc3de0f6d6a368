"""The whole board as a table for other programs: every row, values as they are stored."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC

from competitions.board import board_rows
from competitions.board_table import columns_of
from competitions.models import LeaderboardEntry, Phase
from competitions.spreadsheets import disarm

# Spreadsheets that guess an encoding take UTF-8 for something else without this mark; readers of
# UTF-8 skip it.
MARK = "\ufeff"


def board_csv(phase: Phase) -> str:
    """Write the board of ``phase``: column names are metric keys, in no language."""
    text = io.StringIO()
    text.write(MARK)
    csv.writer(text).writerows(_lines(phase))
    return text.getvalue()


def _lines(phase: Phase) -> Iterator[list[str]]:
    keys = [column.metric.key for column in columns_of(phase)]
    bounds = [name for key in keys for name in (key, f"{key}_low", f"{key}_high")]
    yield ["rank", "team", "is_baseline", *bounds, "submitted_at", "submission", "unranked_reason"]
    for row in board_rows(phase):
        entry = row.entry
        yield [
            "" if row.rank is None else str(row.rank),
            disarm(entry.team.name),
            "true" if entry.team.is_baseline else "false",
            *(number for key in keys for number in _numbers(entry, key)),
            entry.submitted_at.astimezone(UTC).isoformat(),
            str(entry.submission_id),
            entry.unranked_reason,
        ]


def _numbers(entry: LeaderboardEntry, key: str) -> list[str]:
    found = entry.scores.get(key)
    found = found if isinstance(found, dict) else {}
    return [_number(found.get(part)) for part in ("value", "low", "high")]


def _number(value: object) -> str:
    """Write a number so that reading it gives the same one again; nothing for none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    return repr(value)
