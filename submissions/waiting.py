"""Where a submission stands in the queue, and when it may start."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Avg, DurationField, ExpressionWrapper, F
from django.utils.timezone import now

from submissions.models import Submission
from submissions.states import Status

RECENT_RUNS = 20


@dataclass(frozen=True)
class QueuePlace:
    position: int  # 1 is next
    expected_start: datetime | None  # None until something has been measured


def place_of(submission: Submission) -> QueuePlace | None:
    """Return the place of a queued submission, None for any other."""
    if submission.status != Status.QUEUED:
        return None
    ahead = Submission.objects.ahead_of(submission).count()
    typical = _typical_run()
    if typical is None:
        return QueuePlace(ahead + 1, None)
    running = Submission.objects.filter(status=Status.RUNNING).count()
    return QueuePlace(ahead + 1, now() + typical * ahead + typical / 2 * min(running, 1))


def _typical_run() -> timedelta | None:
    ended = Submission.objects.filter(
        status=Status.SCORED, started_at__isnull=False, finished_at__isnull=False
    ).order_by("-finished_at")
    recent: list[UUID] = list(ended.values_list("pk", flat=True)[:RECENT_RUNS])
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    mean = Submission.objects.filter(pk__in=recent).aggregate(mean=Avg(took))["mean"]
    return mean if isinstance(mean, timedelta) else None
