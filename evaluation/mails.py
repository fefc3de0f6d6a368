"""Tell a team how its submission ended, in the transaction that ends it."""

import logging
from typing import Any

from django.db import transaction

from competitions.mail import notify, readers_of
from competitions.metric_texts import describe_metric
from competitions.models import LeaderboardEntry, MailKind
from competitions.ranking import is_better, rank
from evaluation.models import Score
from submissions.models import Submission

log = logging.getLogger(__name__)


def best_before(submission: Submission) -> float | None:
    """Return what the team is ranked by without ``submission``; None if it has no place yet."""
    entries = LeaderboardEntry.objects.filter(phase=submission.phase, team=submission.team)
    others = entries.exclude(submission_id=submission.pk)
    return others.values_list("ranking_value", flat=True).first()


def tell_scored(submission: Submission, *, best_before: float | None) -> None:
    """Write to the team: score, place, and how it compares with the team's best before."""
    if submission.scored_at != submission.finished_at:
        return  # scored again on an organizer's behalf: who tells of that is up to them
    phase = submission.phase
    scores = dict(
        Score.objects.filter(
            run__submission=submission, run__attempt=submission.attempt
        ).values_list("metric", "value")
    )
    value = scores.get(phase.ranking_metric)
    context: dict[str, Any] = {"value": value, "best_before": best_before}
    if value is not None and best_before is not None:
        context["change"] = abs(value - best_before)
        context["is_better"] = is_better(value, best_before, direction=phase.ranking_direction)
    context["rank"], context["ranked"] = _place_of(submission)
    if phase.ranking_metric != "total" and "total" in scores:
        context["total"] = scores["total"]
        context["total_text"] = describe_metric("total")
    _tell(submission, "submission_scored", context)


def tell_ended(submission: Submission) -> None:
    """Write to the team that the submission was rejected, failed, or we failed it for good."""
    _tell(submission, "submission_failed", {})


def _place_of(submission: Submission) -> tuple[int | None, int]:
    """Return the team's place on the board and how many have one."""
    phase = submission.phase
    entries = LeaderboardEntry.objects.filter(phase=phase).exclude(ranking_value=None)
    rows = list(entries.values_list("team_id", "ranking_value"))
    places = dict(rank(rows, direction=phase.ranking_direction))
    return places.get(submission.team_id), len(rows)


def _tell(submission: Submission, template: str, context: dict[str, Any]) -> None:
    phase = submission.phase
    try:
        with transaction.atomic():  # a savepoint: what fails in here leaves the rest whole
            notify(
                MailKind.SUBMISSION,
                template,
                readers_of(submission.team),
                page=submission.get_absolute_url(),
                context={
                    "submission": submission,
                    "phase": phase,
                    "competition": phase.competition,
                    "metric": describe_metric(phase.ranking_metric),
                    **context,
                },
            )
    except Exception:
        # A text that can't be written must not cost a team the scores it tells of.
        log.exception("could not write the mails about submission %s", submission.pk)
