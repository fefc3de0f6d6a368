"""What waits in each queue, for how long, and who is there to take it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.db.models.functions import Coalesce, Now
from django.utils.timezone import now

from competitions.models import Preparation
from competitions.queues import PREPARATIONS
from evaluation.models import Worker
from submissions import dispatch
from submissions.models import Submission, SubmissionQuerySet
from submissions.states import Status

# So long a queue may be without a worker before anybody is told: a restart takes less.
PATIENCE = timedelta(minutes=2)
_WAITING = (Status.CHECKING, Status.QUEUED)


@dataclass(frozen=True)
class Queue:
    """One queue as it stands."""

    name: str
    waiting: int
    waits_since: datetime | None
    """When the first in line came, None if nothing waits."""
    busy: int
    """How many rows workers hold."""
    workers: int
    """How many workers of it are online."""

    @property
    def age(self) -> timedelta:
        """How long the first in line has waited."""
        return max(now() - self.waits_since, timedelta()) if self.waits_since else timedelta()


def find_queues() -> list[Queue]:
    """Return every queue; a handful of queries, however much waits and however many there are."""
    workers = Counter(
        queue
        for queues in Worker.objects.online().values_list("queues", flat=True)
        for queue in queues
    )
    waiting: Counter[str] = Counter()
    first: dict[str, datetime] = {}
    busy: Counter[str] = Counter()
    for status in _WAITING:
        rows = Submission.objects.waiting(status)
        for queue, count, came in _by_queue(rows, status):
            waiting[queue] += count
            first[queue] = min(first.get(queue, came), came)
    for status in (Status.CHECKING, Status.RUNNING):
        held = Submission.objects.filter(status=status, lease_expires_at__isnull=False)
        for queue, count, _came in _by_queue(held, status):
            busy[queue] += count
    prepared = Preparation.objects.waiting().aggregate(n=Count("pk"), first=Min("created_at"))
    waiting[PREPARATIONS], first[PREPARATIONS] = prepared["n"], prepared["first"]
    busy[PREPARATIONS] = Preparation.objects.filter(lease_expires_at__isnull=False).count()
    return [
        Queue(name, waiting[name], first.get(name), busy[name], workers[name])
        for name in [*dispatch.queues(), PREPARATIONS]
    ]


def _by_queue(rows: SubmissionQuerySet, status: Status) -> Iterator[tuple[str, int, datetime]]:
    """Count rows of a state by queue, with the moment when the first came."""
    first = Min(Coalesce("queued_at", "created_at"))
    found = rows.order_by().values_list("phase__workers", "phase__competition")
    for workers, competition, count, came in found.annotate(n=Count("pk"), came_first=first):
        queue = dispatch.queue_of(status, workers=workers, competition_id=competition)
        yield queue, count, came


def unattended_queues() -> set[str]:
    """Return the queues that no worker has been there for, longer than anybody should wait."""
    recent = Worker.objects.filter(seen_at__gt=Now() - PATIENCE)
    # One without a sandbox takes nothing, however often it starts anew.
    able = [row.queues for row in recent if row.sandbox_check.get("is_ok") is not False]
    return set(dispatch.queues()) - {queue for queues in able for queue in queues}


def waits_in_vain(submission: Submission) -> bool:
    """Say whether a submission has waited for a while and no worker is there to take it."""
    if submission.status not in _WAITING or submission.lease_expires_at is not None:
        return False
    if now() - submission.status_changed_at < PATIENCE:
        return False
    return dispatch.queue_for(submission) in unattended_queues()


def waiting_in_vain(queues: Iterable[str]) -> dict[str, list[Submission]]:
    """Return the submissions that wait in each queue without a worker, the first in line first."""
    found = {}
    for queue in queues:
        rows = dispatch.waiting_in(queue).filter(status_changed_at__lt=Now() - PATIENCE)
        if ordered := list(rows.select_related("phase__competition").order_by("created_at", "pk")):
            found[queue] = ordered
    return found
