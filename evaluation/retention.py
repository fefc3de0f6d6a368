"""Which pictures are kept, where the operator wants some of them to go after a while.

Scores, cards, hashes and values of every pair stay for ever. Pictures go of runs that ended long
ago, but never those that a board shows, nor a baseline's, nor those of a submission that is being
worked on, nor the best and the latest few of each team in each phase.
"""

import logging
from collections.abc import Iterator

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from competitions.models import LeaderboardEntry
from competitions.ranking import rank
from evaluation.models import EvaluationRun, Outcome, Output, Score, Stage
from submissions.models import Submission
from submissions.states import SCORED_AGAIN

log = logging.getLogger(__name__)

RUNS_AT_ONCE = 50


def remove_old_outputs() -> int:
    """Remove the pictures of some runs that need not keep them; return of how many."""
    if not settings.OUTPUTS_KEPT_FOR:
        return 0
    removed = 0
    for run in _expendable():
        removed += _remove(run)
        if removed >= RUNS_AT_ONCE:
            break  # the next round goes on
    return removed


def _old_runs() -> QuerySet[EvaluationRun]:
    with_pictures = Output.objects.exclude(file="").values("run")
    return EvaluationRun.objects.filter(
        stage=Stage.SCORE,
        outcome__in=(Outcome.PASSED, Outcome.SUPERSEDED),
        finished_at__lt=Now() - settings.OUTPUTS_KEPT_FOR,
        pk__in=with_pictures,
        submission__team__is_baseline=False,
    )


def _expendable() -> Iterator[int]:
    """Yield runs whose pictures may go, team by team."""
    found = _old_runs().order_by()
    groups = found.values_list("submission__phase", "submission__team").distinct()
    for phase, team in groups.order_by("submission__phase", "submission__team"):
        of_team = found.filter(submission__phase=phase, submission__team=team)
        kept = _kept(phase, team)
        yield from of_team.exclude(pk__in=kept).order_by("pk").values_list("pk", flat=True)


def _kept(phase: int, team: int) -> set[int]:
    """Return the runs of a team's best and latest submissions."""
    ranking = Score.objects.filter(
        run=OuterRef("pk"), metric=OuterRef("submission__phase__ranking_metric")
    )
    counted = EvaluationRun.objects.that_count().filter(
        submission__phase=phase, submission__team=team
    )
    rows = counted.order_by("-submission__created_at", "-pk").values_list(
        "pk", Subquery(ranking.values("value")[:1]), "submission__phase__ranking_direction"
    )
    latest = [(pk, value) for pk, value, _ in rows]
    direction = next((direction for _, _, direction in rows), "lower")
    best = [pk for pk, _ in rank(latest, direction=direction)]
    number = settings.OUTPUTS_KEPT
    return {*best[:number], *(pk for pk, _ in latest[:number])}


def _remove(pk: int) -> bool:
    """Take the names from the rows, then remove the files: what dies in between leaves orphans."""
    with transaction.atomic():
        submission = Submission.objects.select_for_update().get(runs=pk)
        on_board = LeaderboardEntry.objects.filter(submission_id=submission.pk).exists()
        counts = EvaluationRun.objects.that_count().filter(pk=pk).exists()
        if submission.status in SCORED_AGAIN or (on_board and counts):
            return False
        outputs = Output.objects.filter(run=pk).exclude(file="")
        names = [name for row in outputs.values_list("file", "thumbnail") for name in row if name]
        outputs.update(file="", thumbnail="")
    for name in names:
        try:
            default_storage.delete(name)
        except OSError:
            log.warning("could not remove %s, which no row names", name, exc_info=True)
    log.info("removed the pictures of run %s of submission %s", pk, submission.pk)
    return True
