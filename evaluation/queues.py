"""What waits in each queue, for how long, and who is there to take it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min
from django.db.models.functions import Coalesce, Now
from django.utils.timezone import now

from competitions.models import Preparation
from competitions.preparations import QUEUE as PREPARATIONS
from evaluation.models import Worker
from submissions.dispatch import queue_of
from submissions.models import Submission
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
    """Return every queue; a handful of queries, however much waits."""
    workers = Counter(
        queue
        for queues in Worker.objects.online().values_list("queues", flat=True)
        for queue in queues
    )
    found = []
    for status in _WAITING:
        name = queue_of(status)
        waiting = Submission.objects.waiting(status)
        count = waiting.count()
        since = [waiting.aggregate(first=Min(Coalesce("queued_at", "created_at")))["first"]]
        held = Status.RUNNING if status == Status.QUEUED else status
        busy = Submission.objects.filter(status=held, lease_expires_at__isnull=False).count()
        if name == PREPARATIONS:
            prepared = Preparation.objects.waiting()
            count += prepared.count()
            since.append(prepared.aggregate(first=Min("created_at"))["first"])
            busy += Preparation.objects.filter(lease_expires_at__isnull=False).count()
        first = min((each for each in since if each is not None), default=None)
        found.append(Queue(name, count, first, busy, workers[name]))
    return found


def unattended_queues() -> set[str]:
    """Return the queues that no worker has been there for, longer than anybody should wait."""
    names = {queue_of(status) for status in _WAITING}
    recent = Worker.objects.filter(seen_at__gt=Now() - PATIENCE)
    # One without a sandbox takes nothing, however often it starts anew.
    able = [row.queues for row in recent if row.sandbox_check.get("is_ok") is not False]
    return names - {queue for queues in able for queue in queues}


def waits_in_vain(submission: Submission) -> bool:
    """Say whether a submission has waited for a while and no worker is there to take it."""
    if submission.status not in _WAITING or submission.lease_expires_at is not None:
        return False
    if now() - submission.status_changed_at < PATIENCE:
        return False
    return queue_of(Status(submission.status)) in unattended_queues()


def waiting_in_vain(queues: Sequence[str]) -> list[Submission]:
    """Return the submissions that wait in queues without a worker, the first in line first."""
    found: list[Submission] = []
    for status in _WAITING:
        if queue_of(status) in queues:
            rows = Submission.objects.waiting(status).filter(status_changed_at__lt=Now() - PATIENCE)
            found += rows.select_related("phase__competition").order_by("created_at", "pk")
    return found
