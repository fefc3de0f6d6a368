"""Whether somebody may submit to a phase now, and what their team has left."""

from dataclasses import dataclass
from datetime import datetime

from competitions.errors import DomainError, Forbidden, QuotaSpent
from competitions.models import Phase, Team
from competitions.people import User
from competitions.policies import require_can_submit, team_of
from submissions import quota
from submissions.quota import Quota, Usage


@dataclass(frozen=True)
class Admission:
    """``refusal`` is None where a submission would be taken."""

    team: Team | None
    quota: Quota | None
    refusal: DomainError | None
    is_over: bool = False

    @property
    def next_at(self) -> datetime | None:
        """Say when the next submission may come, if it is only a matter of time."""
        found: datetime | None = self.refusal.facts.get("next_allowed_at") if self.refusal else None
        return found

    @property
    def is_spent(self) -> bool:
        return isinstance(self.refusal, QuotaSpent)

    @property
    def has_not_joined(self) -> bool:
        return self.refusal is not None and self.refusal.code == "not_a_participant"

    @property
    def limits(self) -> list[tuple[str, Usage]]:
        """Return what the team has used of each limit that there is."""
        if self.quota is None:
            return []
        known = (
            ("per_day", self.quota.per_day),
            ("total", self.quota.total),
            ("concurrent", self.quota.concurrent),
        )
        return [(name, usage) for name, usage in known if usage.limit is not None]


def admission_of(user: User, phase: Phase, *, at: datetime) -> Admission:
    """Look at joining, dates and quotas in this order, as `services.submit` does."""
    try:
        team = require_can_submit(user, phase=phase, at=at)
    except Forbidden as error:
        entered = team_of(user, phase.competition)
        used = quota.count(phase, entered, at=at) if entered else None
        return Admission(entered, used, error, is_over=at >= phase.opens_at)
    used = quota.count(phase, team, at=at)
    return Admission(team, used, quota.find_spent(used))
