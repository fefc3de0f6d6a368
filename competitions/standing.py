"""What a visitor is to a competition: member of a team, organizer, or somebody who may join."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from competitions import policies
from competitions.errors import DomainError
from competitions.models import Competition, LeaderboardEntry, Phase, Team
from competitions.people import Viewer


@dataclass(frozen=True)
class Standing:
    is_organizer: bool
    team: Team | None
    has_submitted: bool
    open_phase: Phase | None
    """Where a submission would go now."""
    refusal: DomainError | None
    """Why nobody can join any more."""

    @property
    def can_join(self) -> bool:
        return self.team is None and self.refusal is None


def standing_of(
    user: Viewer,
    competition: Competition,
    *,
    phases: Sequence[Phase],
    chosen: Phase | None,
    at: datetime,
) -> Standing:
    team = policies.team_of(user, competition) if user.is_authenticated else None
    # The phase that is looked at comes first.
    ordered = sorted(phases, key=lambda phase: phase != chosen)
    return Standing(
        is_organizer=policies.is_organizer(user, competition),
        team=team,
        has_submitted=team is not None and team.submissions.exists(),
        open_phase=next((phase for phase in ordered if phase.is_open_at(at)), None),
        refusal=refusal_of(user, competition, at=at),
    )


def refusal_of(user: Viewer, competition: Competition, *, at: datetime) -> DomainError | None:
    """Return why nobody can join, None if people can."""
    try:
        policies.require_open_to_entries(user, competition, at=at)
    except DomainError as error:
        return error
    return None


def places_of(team: Team) -> QuerySet[LeaderboardEntry]:
    """Return a team's entries with ``rank`` (None if unranked) and ``of``; one query.

    As on the board: a place is one more than the number of better ones.
    """
    board = LeaderboardEntry.objects.filter(phase=OuterRef("phase")).order_by().values("phase")

    def count(entries: QuerySet[LeaderboardEntry, Any]) -> Coalesce:
        return Coalesce(Subquery(entries.annotate(n=Count("pk")).values("n")), 0)

    lower = board.filter(ranking_value__lt=OuterRef("ranking_value"))
    higher = board.filter(ranking_value__gt=OuterRef("ranking_value"))
    rank = Case(
        When(ranking_value=None, then=None),
        When(phase__ranking_direction="lower", then=count(lower) + 1),
        default=count(higher) + 1,
    )
    return (
        LeaderboardEntry.objects.filter(team=team)
        .select_related("phase__competition")
        .annotate(of=count(board), rank=rank)
        .order_by("phase__position", "phase__opens_at")
    )
