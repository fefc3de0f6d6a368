"""Organizers look at work done and act upon it, in their own competitions only."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from competitions.errors import QuotaSpent
from competitions.models import LeaderboardEntry, Participant, Phase, Team
from evaluation.models import EvaluationRun, Outcome, Stage
from submissions import quota
from submissions.models import Submission
from submissions.states import Status
from tests.factories import (
    make_phase,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)
from tests.organizing.scene import make_organizer

pytestmark = pytest.mark.django_db
LIST = "admin:submissions_submission_changelist"


@pytest.fixture
def phase() -> Phase:
    return make_phase()


@pytest.fixture
def team(phase: Phase) -> Team:
    return make_team(make_user(username="mona"), phase=phase, name="Impressionists")


@pytest.fixture
def organizer(phase: Phase, client: Client) -> Client:
    client.force_login(make_organizer(phase.competition))
    return client


@pytest.fixture
def stranger() -> Client:
    """An organizer of another competition."""
    client = Client()
    client.force_login(make_organizer(make_phase().competition))
    return client


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def act(client: Client, submission: Submission, name: str, reason: str = "copied") -> str:
    sent = {"act": name, "reason": reason}
    return client.post(page(submission, "act"), sent, follow=True).content.decode()


# --- Looking ------------------------------------------------------------------------------------
def test_a_submissions_page_tells_all_that_was_done(
    organizer: Client, phase: Phase, team: Team
) -> None:
    submission = make_scored_submission(phase=phase, team=team)
    EvaluationRun.objects.create(
        submission=submission,
        attempt=9,
        stage=Stage.CHECK,
        outcome=Outcome.PASSED,
        worker="worker-7",
        finished_at=now(),
        steps={"generating": 1.25},
        log="<script>alert(1)</script> from the sandbox",
    )
    text = organizer.get(page(submission)).content.decode()
    for word in ("worker-7", "Impressionists", submission.sha256, "&lt;script&gt;", "input_range"):
        assert word in text
    assert "<script>alert" not in text
    assert "<h1>generator.onnx</h1>" in text
    assert "generator.onnx (Scored)" in text.split("breadcrumbs")[1].split("</nav>")[0]
    run = EvaluationRun.objects.get(attempt=9)
    assert "&lt;script&gt;" in organizer.get(page(run)).content.decode()


def test_equal_files_of_different_teams_are_flagged_to_organizers(
    organizer: Client, phase: Phase, team: Team
) -> None:
    one = make_submission(phase=phase, team=team, sha256="a" * 64)
    two = make_submission(phase=phase, sha256="a" * 64)
    text = organizer.get(page(one)).content.decode()
    assert "the very same file" in text
    assert page(two) in text
    assert "also from another team" in organizer.get(reverse(LIST)).content.decode()
    alone = make_submission(phase=phase, team=team)
    assert "the very same file" not in organizer.get(page(alone)).content.decode()


def test_the_lists_ask_the_database_as_often_for_many_rows(
    organizer: Client, phase: Phase, team: Team
) -> None:
    addresses = [
        reverse(f"admin:{name}_changelist")
        for name in (
            "submissions_submission",
            "evaluation_evaluationrun",
            "competitions_team",
            "competitions_participant",
        )
    ]

    def count() -> list[int]:
        counts = []
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                assert organizer.get(address).status_code == 200
            counts.append(len(queries))
        return counts

    make_scored_submission(phase=phase, team=team)
    one = count()
    for _ in range(5):
        other = make_team(make_user(), phase=phase)
        make_scored_submission(phase=phase, team=other, sha256="a" * 64)
    assert count() == one


@pytest.mark.parametrize(
    "query", ["?q=impression", "?status__exact=scored", "?exclusion__exact=hidden", "?q=mona"]
)
def test_submissions_are_searched_and_filtered(
    organizer: Client, phase: Phase, team: Team, query: str
) -> None:
    submission = make_scored_submission(
        phase=phase,
        team=team,
        submitted_by=team.participants.get().user,
        exclusion="hidden",
        exclusion_reason="x",
        excluded_at=now(),
    )
    other = make_submission(phase=phase)
    text = organizer.get(reverse(LIST) + query).content.decode()
    assert page(submission) in text
    assert page(other) not in text


def test_a_checkpoint_is_for_the_competitions_organizers_only(
    organizer: Client, stranger: Client, phase: Phase, team: Team
) -> None:
    submission = make_submission(phase=phase, team=team, file_name="my “best”.onnx")
    url = page(submission, "checkpoint")
    response = organizer.get(url)
    assert b"".join(response.streaming_content) == b"\x08\x07 not a real graph"  # type: ignore[attr-defined]
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert stranger.get(url).status_code == 404
    member = Client()
    member.force_login(team.participants.get().user)
    for client in (member, Client()):
        assert client.get(url).status_code == 302  # to the log-in
    submission.checkpoint.storage.delete(str(submission.checkpoint.name))
    assert organizer.get(url).status_code == 404


def test_nobody_adds_changes_or_deletes_what_workers_wrote(
    organizer: Client, phase: Phase, team: Team
) -> None:
    submission = make_scored_submission(phase=phase, team=team)
    run = submission.runs.get()
    for row in (submission, run, team.participants.get()):
        add = f"admin:{row._meta.app_label}_{row._meta.model_name}_add"
        assert organizer.get(reverse(add)).status_code == 403
        assert organizer.post(page(row), {"status": "failed"}).status_code == 403
        assert organizer.post(page(row, "delete"), {"post": "yes"}).status_code == 403


# --- Acting -------------------------------------------------------------------------------------
def test_an_act_needs_a_reason_and_says_what_it_did(
    organizer: Client, phase: Phase, team: Team
) -> None:
    submission = make_scored_submission(phase=phase, team=team)
    assert "Say why" in act(organizer, submission, "hide", reason=" ")
    assert "Choose what to do" in act(organizer, submission, "explode")
    assert not LogEntry.objects.exists()
    text = act(organizer, submission, "hide")
    assert "Done: Hide" in text
    assert "copied" in text
    assert not LeaderboardEntry.objects.exists()
    assert "Done: Reinstate" in act(organizer, submission, "reinstate", "a mistake")
    assert LeaderboardEntry.objects.exists()
    assert "Done: Start again" in act(organizer, submission, "restart")
    assert "being worked on" in act(organizer, submission, "restart")
    assert "a mistake" in organizer.get(page(submission, "history")).content.decode()


def test_a_fault_of_ours_is_started_again_by_one_click(
    organizer: Client, phase: Phase, team: Team
) -> None:
    fault = make_submission(phase=phase, team=team, status=Status.PLATFORM_FAULT, checked_at=now())
    assert "Start again now" in organizer.get(page(fault)).content.decode()
    act(organizer, fault, "restart", "platform fault")
    assert Submission.objects.get().status == Status.QUEUED


def test_many_are_acted_upon_with_one_reason(organizer: Client, phase: Phase, team: Team) -> None:
    scored = [make_scored_submission(phase=phase, team=team) for _ in range(2)]
    running = make_submission(phase=phase, team=team, status=Status.QUEUED)
    chosen = {"_selected_action": [row.pk for row in (*scored, running)]}
    asked = organizer.post(reverse(LIST), {"action": "restart_chosen", **chosen})
    assert "Reason" in asked.content.decode()
    assert Submission.objects.filter(status=Status.SCORED).count() == 2
    sent = {"action": "restart_chosen", "with_reason": "1", "reason": "new weights", **chosen}
    text = organizer.post(reverse(LIST), sent, follow=True).content.decode()
    assert "Done for 2 submissions" in text
    assert "being worked on" in text
    assert Submission.objects.filter(status=Status.QUEUED).count() == 3
    assert LogEntry.objects.filter(change_message__contains="new weights").count() == 2


def test_anothers_submissions_are_out_of_reach_of_every_act(
    stranger: Client, phase: Phase, team: Team
) -> None:
    submission = make_scored_submission(phase=phase, team=team)
    before = Submission.objects.values().get()
    for name in ("restart", "hide", "disqualify", "cancel"):
        assert (
            stranger.post(page(submission, "act"), {"act": name, "reason": "x"}).status_code == 404
        )
    for action in ("restart_chosen", "hide_chosen", "disqualify_chosen", "reinstate_chosen"):
        chosen = {"action": action, "_selected_action": [submission.pk]}
        stranger.post(reverse(LIST), chosen | {"with_reason": "1", "reason": "x"})
    assert Submission.objects.values().get() == before
    assert LeaderboardEntry.objects.exists()


# --- Teams --------------------------------------------------------------------------------------
def test_a_team_is_renamed_and_marked_as_a_baseline(organizer: Client, team: Team) -> None:
    organizer.post(page(team), {"name": "  Cubists ", "is_baseline": "on"})
    team.refresh_from_db()
    assert (team.name, team.is_baseline) == ("Cubists", True)
    make_team(phase=team.competition.phases.get(), name="Fauves")
    response = organizer.post(page(team), {"name": "fauves"})
    assert "Another team has this name" in response.content.decode()


def test_a_member_is_removed_and_the_submissions_stay(
    organizer: Client, stranger: Client, phase: Phase, team: Team
) -> None:
    make_scored_submission(phase=phase, team=team)
    member = team.participants.get()
    url = reverse("admin:competitions_team_remove", args=[team.pk, member.pk])
    assert stranger.post(url, {"reason": "x"}).status_code == 404
    organizer.post(url, {"reason": ""})
    assert Participant.objects.filter(pk=member.pk).exists()
    text = organizer.post(url, {"reason": "two accounts"}, follow=True).content.decode()
    assert "Removed mona" in text
    assert not Participant.objects.filter(pk=member.pk).exists()
    assert Submission.objects.filter(team=team).exists()
    assert "two accounts" in LogEntry.objects.get().change_message


def test_a_member_of_another_team_is_not_removed_through_this_one(
    organizer: Client, team: Team
) -> None:
    foreign = make_team(make_user(), phase=make_phase()).participants.get()
    url = reverse("admin:competitions_team_remove", args=[team.pk, foreign.pk])
    assert organizer.post(url, {"reason": "x"}).status_code == 404
    assert Participant.objects.filter(pk=foreign.pk).exists()


def test_extra_submissions_are_granted_on_the_teams_page(
    organizer: Client, stranger: Client, phase: Phase, team: Team
) -> None:
    Phase.objects.filter(pk=phase.pk).update(quota_per_day=1)
    phase.refresh_from_db()
    make_scored_submission(phase=phase, team=team)
    sent = {"phase": phase.pk, "more": "2", "reason": "we were down"}
    assert stranger.post(page(team, "grant"), sent).status_code == 404
    foreign = {**sent, "phase": make_phase().pk}
    assert (
        "Select a valid choice"
        in organizer.post(page(team, "grant"), foreign, follow=True).content.decode()
    )
    with pytest.raises(QuotaSpent):
        quota.require_left(phase, team)
    text = organizer.post(page(team, "grant"), sent, follow=True).content.decode()
    assert "Granted 2 extra submissions" in text
    assert "1 / 3" in text
    quota.require_left(phase, team)


def test_a_team_is_disqualified_with_a_reason(organizer: Client, phase: Phase, team: Team) -> None:
    make_scored_submission(phase=phase, team=team)
    make_scored_submission(phase=phase, team=team)
    text = organizer.post(page(team, "disqualify"), {"reason": "cheated"}, follow=True)
    assert "Disqualified 2 submissions" in text.content.decode()
    assert not LeaderboardEntry.objects.exists()


def test_a_team_with_submissions_or_members_is_not_deleted(
    organizer: Client, phase: Phase, team: Team
) -> None:
    assert organizer.post(page(team, "delete"), {"post": "yes"}).status_code == 403
    empty = make_team(phase=phase)
    organizer.post(page(empty, "delete"), {"post": "yes"})
    assert not Team.objects.filter(pk=empty.pk).exists()


def test_a_next_try_is_shown_where_the_day_is_full(
    organizer: Client, phase: Phase, team: Team
) -> None:
    Phase.objects.filter(pk=phase.pk).update(quota_per_day=1)
    make_submission(
        phase=phase, team=team, status=Status.SCORED, created_at=now() - timedelta(hours=1)
    )
    assert "1 / 1" in organizer.get(page(team)).content.decode()


def test_a_list_of_the_admin_speaks_one_language(
    organizer: Client, phase: Phase, team: Team
) -> None:
    make_team(make_user(), phase=phase, name="Identity", is_baseline=True)
    url = reverse("admin:competitions_team_changelist")
    text = organizer.get(url, {"q": "i"}, headers={"accept-language": "zh-hans"}).content.decode()
    shown = text.split('id="changelist"')[1].split("<footer")[0]
    assert "Impressionists" in shown
    assert "基线" in shown
    for word in ("Search", "result", "True", "False"):
        assert f'"{word}"' not in shown
        assert f"{word}<" not in shown
