"""Organizers have submissions done again, exclude and reinstate them; boards follow."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from competitions.errors import Conflict, Forbidden, Invalid, QuotaSpent
from competitions.models import LeaderboardEntry, Pair, Phase, Team
from competitions.people import User
from evaluation import organizing, services, sweeper
from evaluation.assignment import Picture
from evaluation.models import EvaluationRun, Outcome, Output, Score, Stage
from styletransfer.score_card import ScoreCard
from styletransfer.values import Estimate
from submissions import quota
from submissions.models import Exclusion, Submission
from submissions.services import cancel
from submissions.states import RESTARTABLE, TRANSITIONS, Status
from tests.factories import (
    make_phase,
    make_png,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db
WHY = "the reference set was wrong"


@pytest.fixture
def phase() -> Phase:
    return make_phase()


@pytest.fixture
def team(phase: Phase) -> Team:
    return make_team(make_user(), phase=phase)


@pytest.fixture
def organizer(phase: Phase) -> User:
    user = make_user()
    phase.competition.organizers.add(user)
    return user


def score(submission: Submission, total: float) -> EvaluationRun:
    """Score a queued submission as a worker does."""
    submission = Submission.objects.get(pk=submission.pk)
    run = services.begin(submission, Stage.SCORE, worker="test")
    assert run is not None
    pairs = list(Pair.objects.filter(reference_set=submission.phase.reference_set))
    card = ScoreCard(
        scores={"total": Estimate(total, total - 1, total + 1)},
        per_pair={"total": [total] * len(pairs)},
    )
    pictures = [Picture(make_png(1), b"webp")] * len(pairs)
    assert services.record_scores(run, card, pairs=pairs, pictures=pictures)
    return run


def board(phase: Phase) -> dict[str, float | None]:
    entries = LeaderboardEntry.objects.filter(phase=phase).select_related("team")
    return {entry.team.name: entry.ranking_value for entry in entries}


def reload(submission: Submission) -> Submission:
    return Submission.objects.get(pk=submission.pk)


# --- Done again ---------------------------------------------------------------------------------
def test_a_score_is_replaced_when_it_is_found_again_even_by_a_worse_one(
    phase: Phase, team: Team, organizer: User
) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    first = score(submission, 2.0)
    organizing.restart(reload(submission), by=organizer, reason=WHY)
    assert reload(submission).status == Status.QUEUED
    assert board(phase) == {team.name: 2.0}  # until the new score is there
    assert EvaluationRun.objects.that_count().get() == first
    second = score(submission, 7.0)
    assert board(phase) == {team.name: 7.0}
    first.refresh_from_db()
    assert (first.outcome, second.outcome) == (Outcome.SUPERSEDED, Outcome.PASSED)
    assert Output.objects.filter(run=first).exists()
    entry = LogEntry.objects.get()
    assert entry.user == organizer
    assert WHY in entry.change_message


def test_no_browser_keeps_a_picture_whose_address_shows_another_when_it_is_made_again(
    phase: Phase, team: Team, client: Client
) -> None:
    Phase.objects.filter(pk=phase.pk).update(pairs_public=True)
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(submission, 2.0)
    for name in ("output", "api-output"):
        response = client.get(reverse(name, args=[submission.pk, 0]))
        assert response.status_code == 200
        assert "no-cache" in response["Cache-Control"]


def test_the_teams_better_submission_takes_over_when_one_gets_worse(
    phase: Phase, team: Team, organizer: User
) -> None:
    best = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(best, 2.0)
    other = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(other, 3.0)
    organizing.restart(reload(best), by=organizer, reason=WHY)
    score(best, 9.0)
    assert LeaderboardEntry.objects.get().submission_id == other.pk


def test_a_score_that_fails_when_done_again_leaves_the_board(
    phase: Phase, team: Team, organizer: User
) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(submission, 2.0)
    organizing.restart(reload(submission), by=organizer, reason=WHY)
    run = services.begin(reload(submission), Stage.SCORE, worker="test")
    assert run is not None
    services.record_refusal(run, code="too_slow", facts={"limit_s": 1})
    assert reload(submission).status == Status.FAILED
    assert board(phase) == {}
    assert not EvaluationRun.objects.that_count().exists()


def test_what_failed_when_done_again_has_no_earlier_scores_to_go_back_to(
    phase: Phase, team: Team, organizer: User, client: Client
) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(submission, 2.0)
    organizing.restart(reload(submission), by=organizer, reason=WHY)
    run = services.begin(reload(submission), Stage.SCORE, worker="test")
    assert run is not None
    services.record_refusal(run, code="too_slow", facts={"limit_s": 1})
    organizing.restart(reload(submission), by=organizer, reason=WHY)
    assert reload(submission).status == Status.QUEUED
    assert client.get(submission.get_absolute_url()).status_code == 404
    cancel(reload(submission), by=team.participants.get().user)
    assert reload(submission).status == Status.CANCELLED
    assert board(phase) == {}


def test_a_fault_while_it_is_done_again_keeps_the_place(
    phase: Phase, team: Team, organizer: User, client: Client
) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(submission, 2.0)
    organizing.restart(reload(submission), by=organizer, reason=WHY)
    run = services.begin(reload(submission), Stage.SCORE, worker="test")
    assert run is not None
    services.record_fault(run, reason="no disk")
    assert board(phase) == {team.name: 2.0}
    assert client.get(submission.get_absolute_url()).status_code == 200


def test_cancelling_what_is_done_again_keeps_the_earlier_scores(
    phase: Phase, team: Team, organizer: User
) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(submission, 2.0)
    member = team.participants.get().user
    organizing.restart(reload(submission), by=organizer, reason=WHY)
    run = services.begin(reload(submission), Stage.SCORE, worker="test")
    assert run is not None
    cancel(reload(submission), by=member)
    assert reload(submission).status == Status.SCORED
    assert board(phase) == {team.name: 2.0}
    assert not services.record_refusal(run, code="too_slow", facts={})
    with pytest.raises(Conflict):
        cancel(reload(submission), by=member)


def test_what_is_cancelled_while_the_same_file_counts_instead_leaves_the_board(
    phase: Phase, team: Team, organizer: User
) -> None:
    first = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(first, 2.0)
    organizing.restart(reload(first), by=organizer, reason=WHY)
    run = services.begin(reload(first), Stage.SCORE, worker="test")
    assert run is not None
    services.record_fault(run, reason="no disk")
    equal = {"sha256": first.sha256, "manifest_sha256": first.manifest_sha256}
    again = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now(), **equal)
    cancel(reload(first), by=team.participants.get().user)
    assert reload(first).status == Status.CANCELLED
    sweeper.sweep()
    assert board(phase) == {}
    score(again, 2.0)
    assert LeaderboardEntry.objects.get().submission_id == again.pk


def test_what_was_never_checked_is_checked_first(phase: Phase, team: Team, organizer: User) -> None:
    rejected = make_submission(phase=phase, team=team, status=Status.REJECTED)
    organizing.restart(rejected, by=organizer, reason=WHY)
    row = reload(rejected)
    assert (row.status, row.failure_code, row.faults) == (Status.CHECKING, "", 0)


def test_a_final_fault_of_ours_can_be_started_again(
    phase: Phase, team: Team, organizer: User
) -> None:
    fault = make_submission(
        phase=phase,
        team=team,
        status=Status.PLATFORM_FAULT,
        failure_code="platform_fault_final",
        faults=5,
        checked_at=now(),
    )
    organizing.restart(fault, by=organizer, reason=WHY)
    assert (reload(fault).status, reload(fault).faults) == (Status.QUEUED, 0)
    score(fault, 1.0)
    assert board(phase) == {team.name: 1.0}


@pytest.mark.parametrize("status", sorted(set(Status) - set(RESTARTABLE)))
def test_what_has_not_ended_or_was_cancelled_is_not_started_again(
    phase: Phase, team: Team, organizer: User, status: Status
) -> None:
    submission = make_submission(phase=phase, team=team, status=status)
    with pytest.raises(Conflict):
        organizing.restart(submission, by=organizer, reason=WHY)
    assert reload(submission).status == status
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("status", [Status.SCORED, Status.FAILED, Status.REJECTED])
def test_a_worker_can_not_start_anything_again(status: Status) -> None:
    submission = make_submission(status=status)
    for target in (Status.CHECKING, Status.QUEUED, Status.RUNNING):
        assert target not in TRANSITIONS.get(status, set())
        assert not submission.move(target)


def test_a_file_that_was_sent_again_is_not_started_twice(
    phase: Phase, team: Team, organizer: User
) -> None:
    same: dict[str, Any] = {"phase": phase, "team": team, "sha256": "a" * 64}
    failed = make_submission(status=Status.FAILED, **same)
    make_submission(status=Status.QUEUED, **same)
    with pytest.raises(Conflict) as caught:
        organizing.restart(failed, by=organizer, reason=WHY)
    assert caught.value.code == "sent_again"
    assert reload(failed).status == Status.FAILED


def test_a_fault_that_gives_way_to_the_same_file_leaves_the_board(
    phase: Phase, team: Team, organizer: User
) -> None:
    first = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    score(first, 2.0)
    organizing.restart(reload(first), by=organizer, reason=WHY)
    run = services.begin(reload(first), Stage.SCORE, worker="test")
    assert run is not None
    services.record_fault(run, reason="no disk")
    make_submission(
        phase=phase, team=team, sha256=first.sha256, manifest_sha256=first.manifest_sha256
    )
    Submission.objects.filter(pk=first.pk).update(not_before=Now())
    sweeper.retry_faults()
    assert reload(first).status == Status.CANCELLED
    assert board(phase) == {}


# --- Excluded -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", list(Exclusion))
def test_an_excluded_submission_gives_its_place_to_the_teams_next_best(
    phase: Phase, team: Team, organizer: User, kind: Exclusion
) -> None:
    best = make_scored_submission(phase=phase, team=team, value=1.0)
    make_scored_submission(phase=phase, team=team, value=2.0)
    organizing.exclude(best, kind, by=organizer, reason="copied")
    assert board(phase) == {team.name: 2.0}
    row = reload(best)
    assert (row.exclusion, row.exclusion_reason, row.excluded_by) == (kind, "copied", organizer)
    organizing.reinstate(row, by=organizer, reason="it was not")
    assert board(phase) == {team.name: 1.0}
    assert [entry.change_message.split(": ")[1] for entry in LogEntry.objects.order_by("pk")] == [
        "copied",
        "it was not",
    ]


def test_a_team_whose_only_submission_is_excluded_leaves_the_board(
    phase: Phase, team: Team, organizer: User
) -> None:
    submission = make_scored_submission(phase=phase, team=team)
    organizing.exclude(submission, Exclusion.HIDDEN, by=organizer, reason="copied")
    assert board(phase) == {}


def test_what_was_disqualified_while_it_ran_never_reaches_the_board(
    phase: Phase, team: Team, organizer: User
) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED, checked_at=now())
    organizing.exclude(submission, Exclusion.DISQUALIFIED, by=organizer, reason="copied")
    score(submission, 1.0)
    assert board(phase) == {}
    assert Score.objects.exists()


def test_a_team_is_disqualified_with_all_it_has(phase: Phase, team: Team, organizer: User) -> None:
    other = make_team(make_user(), phase=phase)
    make_scored_submission(phase=phase, team=other, value=5.0)
    for value in (1.0, 2.0):
        make_scored_submission(phase=phase, team=team, value=value)
    assert organizing.disqualify_team(team, by=organizer, reason="two accounts") == 2
    assert board(phase) == {other.name: 5.0}
    assert set(Submission.objects.filter(team=team).values_list("exclusion", flat=True)) == {
        Exclusion.DISQUALIFIED
    }


def test_boards_can_be_made_anew_from_scores_at_any_time(phase: Phase, team: Team) -> None:
    make_scored_submission(phase=phase, team=team, value=1.0)
    make_scored_submission(phase=phase, team=make_team(make_user(), phase=phase), value=2.0)
    before = list(LeaderboardEntry.objects.order_by("pk").values())
    LeaderboardEntry.objects.filter(team=team).update(ranking_value=77)
    out = StringIO()
    call_command("rebuild_boards", stdout=out)
    assert "1 boards with 2 places" in out.getvalue()
    assert list(LeaderboardEntry.objects.order_by("pk").values()) == before
    LeaderboardEntry.objects.all().delete()
    call_command("rebuild_boards", str(phase.pk), stdout=out)
    assert LeaderboardEntry.objects.count() == 2


# --- Extra submissions --------------------------------------------------------------------------
def test_extra_submissions_let_a_team_submit_now(phase: Phase, team: Team, organizer: User) -> None:
    Phase.objects.update(quota_per_day=1)
    phase.refresh_from_db()
    make_scored_submission(phase=phase, team=team)
    with pytest.raises(QuotaSpent):
        quota.require_left(phase, team)
    organizing.grant_extra(team, phase, 2, by=organizer, reason="we were down")
    quota.require_left(phase, team)
    assert quota.count(phase, team).left_now == 2
    assert "we were down" in LogEntry.objects.get().change_message


# --- Who and why --------------------------------------------------------------------------------
ACTS: list[Callable[..., Any]] = [
    lambda row, **who: organizing.restart(row, **who),
    lambda row, **who: organizing.exclude(row, Exclusion.HIDDEN, **who),
    lambda row, **who: organizing.reinstate(row, **who),
    lambda row, **who: organizing.stop(row, **who),
    lambda row, **who: organizing.disqualify_team(row.team, **who),
    lambda row, **who: organizing.grant_extra(row.team, row.phase, 1, **who),
]


@pytest.mark.parametrize("act", ACTS)
def test_only_the_competitions_organizers_act_and_only_with_a_reason(
    phase: Phase, team: Team, organizer: User, act: Callable[..., Any]
) -> None:
    submission = make_scored_submission(phase=phase, team=team)
    foreign = make_user(is_staff=True)
    make_phase().competition.organizers.add(foreign)
    for user in (foreign, team.participants.get().user):
        with pytest.raises(Forbidden):
            act(submission, by=user, reason=WHY)
    with pytest.raises(Invalid):
        act(submission, by=organizer, reason="  ")
    assert not LogEntry.objects.exists()
    assert reload(submission).status == Status.SCORED
    assert board(phase) == {team.name: 1.0}


def test_an_organizer_stops_a_submission(phase: Phase, team: Team, organizer: User) -> None:
    submission = make_submission(phase=phase, team=team, status=Status.QUEUED)
    organizing.stop(submission, by=organizer, reason="mistaken upload")
    assert reload(submission).status == Status.CANCELLED
    with pytest.raises(Conflict):
        organizing.stop(reload(submission), by=organizer, reason="again")
    assert LogEntry.objects.count() == 1


def test_extra_submissions_are_granted_within_the_competition(
    phase: Phase, team: Team, organizer: User
) -> None:
    for more, where in ((0, phase), (101, phase), (1, make_phase())):
        with pytest.raises(Invalid):
            organizing.grant_extra(team, where, more, by=organizer, reason=WHY)


def test_equal_files_of_different_teams_are_found(phase: Phase, team: Team) -> None:
    one = make_submission(phase=phase, team=team, sha256="a" * 64)
    two = make_submission(phase=phase, sha256="a" * 64)
    make_submission(sha256="a" * 64)  # of another competition
    three = make_submission(phase=phase, team=team)
    found = organizing.namesakes([one, three])
    assert found["a" * 64] == [one, two]
    assert found[three.sha256] == [three]
