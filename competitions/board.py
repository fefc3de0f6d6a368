"""The leaderboard of a phase as rows with their places."""

from dataclasses import dataclass

from competitions.models import LeaderboardEntry, Phase
from competitions.ranking import rank


@dataclass(frozen=True)
class BoardRow:
    rank: int | None
    entry: LeaderboardEntry


def board_rows(phase: Phase) -> list[BoardRow]:
    """Return every entry of ``phase``, best first, unranked ones last; one query."""
    entries = {entry.pk: entry for entry in LeaderboardEntry.objects.for_board(phase)}
    ranked = rank(
        ((pk, entry.ranking_value) for pk, entry in entries.items()),
        direction=phase.ranking_direction,
    )
    return [BoardRow(rank=place, entry=entries[pk]) for pk, place in ranked]
