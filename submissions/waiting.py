"""Where a submission stands in the queue, and when it may start."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Avg, DurationField, ExpressionWrapper, F
from django.utils.timezone import now

from competitions.queues import scoring_queue
from submissions.models import Submission
from submissions.states import Status

RECENT_RUNS = 20
_QUEUE = ("phase__workers", "phase__competition")


@dataclass(frozen=True)
class QueuePlace:
    position: int  # 1 is next
    expected_start: datetime | None  # None until something has been measured


def place_of(submission: Submission) -> QueuePlace | None:
    """Return the place of a queued submission, None for any other."""
    return places_of([submission])[submission.pk]


def places_of(submissions: Sequence[Submission]) -> dict[UUID, QueuePlace | None]:
    """Return the place of each submission; the number of queries does not grow with theirs."""
    places: dict[UUID, QueuePlace | None] = {row.pk: None for row in submissions}
    if not any(row.status == Status.QUEUED for row in submissions):
        return places
    # Not those that wait for their teams.
    waiting = Submission.objects.waiting(Status.QUEUED).order_by("queued_at", "pk")
    running = Submission.objects.filter(status=Status.RUNNING).order_by()
    typical = _typical_run()
    busy = {scoring_queue(*row) for row in running.values_list(*_QUEUE).distinct()}
    ahead: Counter[str] = Counter()
    for pk, *found in waiting.values_list("pk", *_QUEUE):
        queue = scoring_queue(*found)
        if pk in places:
            start = now() + typical * (ahead[queue] + (queue in busy) / 2) if typical else None
            places[pk] = QueuePlace(ahead[queue] + 1, start)
        ahead[queue] += 1
    return places


def _typical_run() -> timedelta | None:
    ended = Submission.objects.filter(
        status=Status.SCORED, started_at__isnull=False, finished_at__isnull=False
    ).order_by("-finished_at")
    recent: list[UUID] = list(ended.values_list("pk", flat=True)[:RECENT_RUNS])
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    mean = Submission.objects.filter(pk__in=recent).aggregate(mean=Avg(took))["mean"]
    return mean if isinstance(mean, timedelta) else None
