"""Boards are a projection of scores: a team's place is made anew whenever one of them changes."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from competitions.kept_pages import forget_pages
from competitions.models import LeaderboardEntry, Phase, Team
from competitions.ranking import is_better, keep_finite, ranking_value
from evaluation.models import EvaluationRun, Score
from submissions.models import Submission
from submissions.states import SCORED_AGAIN, Status


def standing(phase: Phase, team: Team) -> QuerySet[Submission]:
    """Return a team's submissions that may stand on the board, earliest first.

    What is scored again keeps its place until that has ended.
    """
    rows = Submission.objects.filter(phase=phase, team=team, exclusion="")
    return rows.filter(status__in=[Status.SCORED, *SCORED_AGAIN], scored_at__isnull=False).order_by(
        "created_at", "pk"
    )


@transaction.atomic
def rebuild_entry(phase: Phase, team: Team) -> None:
    """Put a team's best submission on the board, or take the team off it; any number of times.

    The phase row is locked, so that of two changes at once the later one sees the earlier.
    """
    phase = Phase.objects.select_for_update().get(pk=phase.pk)
    forget_pages(phase.pk)
    submissions = {row.pk: row for row in standing(phase, team)}
    scores = _scores_of(list(submissions))
    best: UUID | None = None
    best_value: float | None = None
    for pk in submissions:
        if pk not in scores:
            continue
        value, _reason = ranking_value(scores[pk], phase.ranking_metric)
        if best is None or _is_ahead(value, best_value, phase.ranking_direction):
            best, best_value = pk, value
    if best is None:
        LeaderboardEntry.objects.filter(phase=phase, team=team).delete()
        return
    value, reason = ranking_value(scores[best], phase.ranking_metric)
    LeaderboardEntry.objects.update_or_create(
        phase=phase,
        team=team,
        defaults={
            "submission_id": best,
            "scores": keep_finite(scores[best]),
            "ranking_value": value,
            "unranked_reason": reason,
            "submitted_at": submissions[best].created_at,
        },
    )


def _is_ahead(value: float | None, than: float | None, direction: str) -> bool:
    if value is None or than is None:
        return than is None and value is not None
    return is_better(value, than, direction=direction)


def _scores_of(submissions: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return what counts of each submission, by metric, as boards keep it."""
    runs = EvaluationRun.objects.that_count().filter(submission__in=submissions)
    found: dict[UUID, dict[str, Any]] = defaultdict(dict)
    for score in Score.objects.filter(run__in=runs).select_related("run"):
        found[score.run.submission_id][score.metric] = {
            "value": score.value,
            "low": score.low,
            "high": score.high,
        }
    return found


def rebuild_boards(phases: QuerySet[Phase]) -> int:
    """Make every place of the phases' boards anew; return how many teams were looked at."""
    teams = 0
    for phase in phases:
        involved = Team.objects.filter(submissions__phase=phase) | Team.objects.filter(
            leaderboard_entries__phase=phase
        )
        for team in involved.distinct():
            rebuild_entry(phase, team)
            teams += 1
    return teams
