"""How many submissions a team has left in a phase, and when the next may come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from competitions.errors import QuotaSpent
from competitions.models import Phase, Team
from submissions.models import Submission, TeamQuota
from submissions.states import Status

DAY = timedelta(hours=24)
# A submission that is being checked holds its place; rejection gives the place back.
# One cancelled after it had started has used a worker's time and counts.
COUNTED = Q(
    status__in=[Status.CHECKING, Status.QUEUED, Status.RUNNING, Status.SCORED, Status.FAILED]
) | Q(status=Status.CANCELLED, started_at__isnull=False)
AT_ONCE = Q(status__in=[Status.CHECKING, Status.QUEUED, Status.RUNNING])


@dataclass(frozen=True)
class Usage:
    """What a team has used of one limit; ``limit`` None means there is none."""

    limit: int | None
    used: int
    next_allowed_at: datetime | None = None

    @property
    def is_spent(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True)
class Quota:
    per_day: Usage
    total: Usage
    concurrent: Usage

    @property
    def left_now(self) -> int:
        """Count how many more may come today, whatever else is in progress."""
        left = [usage.left for usage in (self.per_day, self.total) if usage.left is not None]
        return min(left)


def count(phase: Phase, team: Team, *, at: datetime | None = None) -> Quota:
    """Count a team's submissions to a phase; failures that cost nothing are left out."""
    at = at or now()
    rows = Submission.objects.filter(phase=phase, team=team)
    counted = list(rows.filter(COUNTED).order_by("created_at").values_list("created_at", "status"))
    free = phase.free_failures
    times: list[datetime] = []
    for created_at, status in counted:
        if status == Status.FAILED and free > 0:
            free -= 1
        else:
            times.append(created_at)
    granted = TeamQuota.objects.filter(phase=phase, team=team).values_list("extra_total", flat=True)
    total, extra = phase.quota_total, sum(granted)
    usual, paid = _tell_apart(times, phase, extra)
    today = [time for time in usual if time > at - DAY]
    paid_today = sum(time > at - DAY for time in paid)
    # An extra submission may come at any time: each that is left widens the present day.
    room = phase.quota_per_day + extra - len(paid)
    opens = today[len(today) - room] + DAY if len(today) >= room else None
    return Quota(
        per_day=Usage(room + paid_today, len(today) + paid_today, opens),
        total=Usage(None if total is None else total + extra, len(times)),
        concurrent=Usage(phase.quota_concurrent, rows.filter(AT_ONCE).count()),
    )


def _tell_apart(
    times: list[datetime], phase: Phase, extra: int
) -> tuple[list[datetime], list[datetime]]:
    """Tell the usual submissions from those beyond the day or the total, paid by an extra one."""
    usual: list[datetime] = []
    paid: list[datetime] = []
    for time in times:
        today = sum(earlier > time - DAY for earlier in usual)
        is_beyond = today >= phase.quota_per_day or len(usual) == phase.quota_total
        (paid if is_beyond and len(paid) < extra else usual).append(time)
    return usual, paid


@transaction.atomic
def grant(phase: Phase, team: Team, more: int) -> None:
    """Let a team submit ``more`` times beyond the limits of the day and in all, from now on."""
    lock(phase, team)
    wanted = count(phase, team).left_now + more
    row = TeamQuota.objects.get(phase=phase, team=team)
    row.extra_total += more
    row.save()
    # Where limits were lowered, what was submitted before takes up extra ones as well.
    while count(phase, team).left_now < wanted:
        row.extra_total += 1
        row.save()


def lock(phase: Phase, team: Team) -> None:
    """Keep others from counting for the same team and phase until the transaction ends.

    SQLite has no row locks: there its IMMEDIATE transactions keep every other writer out.
    """
    TeamQuota.objects.get_or_create(phase=phase, team=team)
    TeamQuota.objects.select_for_update().get(phase=phase, team=team)


def find_spent(quota: Quota) -> QuotaSpent | None:
    """Return the limit that is reached, the one that takes longest to make room first."""
    details = (
        ("total", quota.total, _("Your team has used all its submissions to this phase.")),
        ("per_day", quota.per_day, _("Your team has used its submissions of the last 24 hours.")),
        (
            "concurrent",
            quota.concurrent,
            _(
                "Your team has as many submissions in progress as this phase allows. "
                "Wait until one ends or cancel it."
            ),
        ),
    )
    for name, usage, detail in details:
        if usage.is_spent:
            return QuotaSpent(
                "quota_spent",
                detail,
                quota=name,
                limit=usage.limit,
                used=usage.used,
                next_allowed_at=usage.next_allowed_at,
            )
    return None


def require_left(phase: Phase, team: Team) -> None:
    """Make sure that one more submission fits; the caller holds the ``lock``.

    Raises:
        QuotaSpent: one of the three limits is reached.
    """
    spent = find_spent(count(phase, team))
    if spent is not None:
        raise spent
