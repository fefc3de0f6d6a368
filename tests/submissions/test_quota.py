from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from competitions.errors import QuotaSpent
from competitions.models import Phase, Team
from submissions import quota, services
from submissions.models import TeamQuota
from submissions.states import Status
from tests.factories import make_phase, make_submission, make_team, make_user

pytestmark = pytest.mark.django_db
NOW = now()


def entered(phase: Phase) -> Team:
    return make_team(make_user(), phase=phase)


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def fill(phase: Phase, team: Team, *statuses: Status, **fields: Any) -> None:
    for status in statuses:
        make_submission(phase=phase, team=team, status=status, **fields)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (Status.CHECKING, 1),
        (Status.QUEUED, 1),
        (Status.RUNNING, 1),
        (Status.SCORED, 1),
        (Status.FAILED, 1),
        (Status.REJECTED, 0),
        (Status.PLATFORM_FAULT, 0),
        (Status.CANCELLED, 0),
    ],
)
def test_what_counts_against_the_quota(status: Status, counts: int) -> None:
    phase = make_phase(quota_total=10)
    team = entered(phase)
    fill(phase, team, status)
    used = quota.count(phase, team)
    assert (used.per_day.used, used.total.used) == (counts, counts)
    is_active = status in {Status.CHECKING, Status.QUEUED, Status.RUNNING}
    assert used.concurrent.used == is_active


def test_a_submission_leaves_the_count_exactly_24_hours_after_it_was_made() -> None:
    phase = make_phase(quota_per_day=1)
    team = entered(phase)
    fill(phase, team, Status.SCORED, created_at=ago(hours=24))
    used = quota.count(phase, team, at=NOW)
    assert used.per_day.used == 0
    assert used.per_day.next_allowed_at is None
    used = quota.count(phase, team, at=NOW - timedelta(microseconds=1))
    assert used.per_day.used == 1
    assert used.per_day.next_allowed_at == NOW


def test_a_day_is_24_rolling_hours_and_not_a_date() -> None:
    phase = make_phase(quota_per_day=2)
    team = entered(phase)
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    fill(phase, team, Status.SCORED, Status.SCORED, created_at=midnight - timedelta(minutes=5))
    used = quota.count(phase, team, at=midnight + timedelta(minutes=5))
    assert used.per_day.is_spent
    assert used.per_day.next_allowed_at == midnight + timedelta(hours=23, minutes=55)


def test_the_next_try_is_when_the_oldest_that_counts_is_24_hours_old() -> None:
    phase = make_phase(quota_per_day=2)
    team = entered(phase)
    for hours in (30, 20, 10):
        fill(phase, team, Status.SCORED, created_at=ago(hours=hours))
    fill(phase, team, Status.REJECTED, created_at=ago(hours=23))
    used = quota.count(phase, team, at=NOW)
    assert used.per_day.used == 2
    assert used.per_day.next_allowed_at == ago(hours=20) + timedelta(hours=24)
    later = quota.count(phase, team, at=used.per_day.next_allowed_at)
    assert later.per_day.left == 1


def test_after_a_lower_limit_the_wait_is_until_enough_have_left() -> None:
    phase = make_phase(quota_per_day=1)
    team = entered(phase)
    for hours in (20, 10):
        fill(phase, team, Status.SCORED, created_at=ago(hours=hours))
    used = quota.count(phase, team, at=NOW)
    assert used.per_day.next_allowed_at == ago(hours=10) + timedelta(hours=24)


def test_the_first_failures_cost_nothing_where_a_phase_grants_them() -> None:
    phase = make_phase(quota_total=10, free_failures=2)
    team = entered(phase)
    fill(phase, team, Status.FAILED, Status.FAILED)
    assert quota.count(phase, team).total.used == 0
    fill(phase, team, Status.FAILED, Status.SCORED)
    used = quota.count(phase, team)
    assert (used.total.used, used.per_day.used) == (2, 2)


def test_without_a_total_there_is_none() -> None:
    phase = make_phase(quota_total=None)
    total = quota.count(phase, entered(phase)).total
    assert total.left is None
    assert not total.is_spent


def test_an_organizer_may_grant_a_team_more() -> None:
    phase = make_phase(quota_total=1)
    team, other = entered(phase), entered(phase)
    for each in (team, other):
        fill(phase, each, Status.SCORED)
    TeamQuota.objects.create(phase=phase, team=team, extra_total=1)
    assert quota.count(phase, team).total.left == 1
    assert quota.count(phase, other).total.left == 0


def test_extra_submissions_may_come_at_once_though_the_day_is_full() -> None:
    phase = make_phase(quota_per_day=2)
    team = entered(phase)
    fill(phase, team, Status.SCORED, Status.SCORED, created_at=ago(hours=1))
    quota.grant(phase, team, 2)
    used = quota.count(phase, team, at=NOW).per_day
    assert (used.limit, used.used, used.left) == (4, 2, 2)
    fill(phase, team, Status.SCORED, Status.FAILED, created_at=ago(minutes=1))
    used = quota.count(phase, team, at=NOW).per_day
    assert (used.limit, used.used, used.left) == (4, 4, 0)
    assert used.next_allowed_at == ago(hours=1) + timedelta(hours=24)


def test_extra_submissions_are_used_up_and_do_not_widen_every_day() -> None:
    phase = make_phase(quota_per_day=2)
    team = entered(phase)
    quota.grant(phase, team, 1)
    fill(phase, team, Status.SCORED, Status.SCORED, Status.SCORED, created_at=ago(hours=30))
    used = quota.count(phase, team, at=NOW).per_day
    assert (used.limit, used.used) == (2, 0)


def test_the_next_day_opens_with_the_usual_submissions_and_not_with_an_extra_one() -> None:
    phase = make_phase(quota_per_day=1)
    team = entered(phase)
    quota.grant(phase, team, 1)
    for hours in (25, 23, 1):
        fill(phase, team, Status.SCORED, created_at=ago(hours=hours))
    used = quota.count(phase, team, at=NOW).per_day
    assert (used.limit, used.used) == (2, 2)
    assert used.next_allowed_at == ago(hours=1) + timedelta(hours=24)
    assert quota.count(phase, team, at=ago(hours=-2)).per_day.is_spent


def test_days_within_the_limit_leave_extra_submissions_for_later() -> None:
    phase = make_phase(quota_per_day=2)
    team = entered(phase)
    quota.grant(phase, team, 1)
    for hours in (60, 59, 35, 33):
        fill(phase, team, Status.SCORED, created_at=ago(hours=hours))
    assert quota.count(phase, team, at=NOW).per_day.left == 3


@pytest.mark.parametrize(
    "lowered", [{"quota_per_day": 1}, {"quota_total": 2}, {"quota_per_day": 1, "quota_total": 1}]
)
def test_what_is_granted_can_be_used_also_where_limits_were_lowered(
    lowered: dict[str, int],
) -> None:
    phase = make_phase(quota_per_day=5, quota_total=9)
    team = entered(phase)
    fill(phase, team, *[Status.SCORED] * 4, created_at=ago(hours=1))
    Phase.objects.filter(pk=phase.pk).update(**lowered)
    phase.refresh_from_db()
    quota.grant(phase, team, 2)
    assert quota.count(phase, team).left_now == 2
    fill(phase, team, Status.SCORED, Status.SCORED)
    with pytest.raises(QuotaSpent):
        quota.require_left(phase, team)


def test_each_team_and_each_phase_has_its_own_count() -> None:
    phase = make_phase(quota_per_day=1)
    team = entered(phase)
    fill(phase, team, Status.SCORED)
    assert quota.count(phase, team).per_day.is_spent
    assert not quota.count(phase, entered(phase)).per_day.is_spent
    second = make_phase(competition=phase.competition)
    assert not quota.count(second, team).per_day.is_spent


@pytest.mark.parametrize(
    ("limits", "status", "name"),
    [
        ({"quota_total": 1}, Status.SCORED, "total"),
        ({"quota_per_day": 1}, Status.SCORED, "per_day"),
        ({"quota_concurrent": 1}, Status.QUEUED, "concurrent"),
        ({"quota_concurrent": 1, "quota_per_day": 1}, Status.QUEUED, "per_day"),
    ],
)
def test_a_refusal_names_the_limit_that_takes_longest(
    limits: dict[str, int], status: Status, name: str
) -> None:
    phase = make_phase(**limits)
    team = entered(phase)
    quota.require_left(phase, team)
    fill(phase, team, status)
    with pytest.raises(QuotaSpent) as caught:
        quota.require_left(phase, team)
    facts = caught.value.facts
    assert (facts["quota"], facts["limit"], facts["used"]) == (name, 1, 1)
    assert (facts["next_allowed_at"] is not None) == (name == "per_day")


# --- Cancelling ---------------------------------------------------------------------------------
def cancelled(status: Status, **fields: Any) -> tuple[Phase, Team]:
    phase, user = make_phase(), make_user()
    team = make_team(user, phase=phase)
    services.cancel(make_submission(phase=phase, team=team, status=status, **fields), by=user)
    return phase, team


@pytest.mark.parametrize("status", [Status.CHECKING, Status.QUEUED])
def test_cancelling_before_the_start_is_free(status: Status) -> None:
    used = quota.count(*cancelled(status))
    assert (used.per_day.used, used.concurrent.used) == (0, 0)


def test_cancelling_after_the_start_is_charged_but_frees_the_place() -> None:
    used = quota.count(*cancelled(Status.RUNNING, started_at=NOW))
    assert (used.per_day.used, used.concurrent.used) == (1, 0)


def test_cancelling_what_our_fault_had_stopped_is_free() -> None:
    fields = {"failure_code": "platform_fault", "started_at": None}
    assert quota.count(*cancelled(Status.PLATFORM_FAULT, **fields)).per_day.used == 0
