"""Oddities that scoring noticed are shown to organizers, and to nobody else."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import Phase, Team
from competitions.organizers import add_organizer
from evaluation.models import EvaluationRun
from styletransfer.proportion import LIMIT
from submissions.models import Submission
from tests.factories import make_phase, make_scored_submission, make_team, make_user

pytestmark = pytest.mark.django_db

FLAGS = [
    {"code": "copies_content", "pairs": [0, 1], "value": 0.99},
    {"code": "near_references", "pairs": [], "value": 0.02},
    {"code": "depends_on_order", "pairs": [3, 7], "value": 12.0},
    {"code": "fails_second_pass", "pairs": [3, 7], "value": 2.0},
]
GUARDS = {"second_pass": {"pairs": [7, 3], "largest": [12, 5], "share": [0.5, 0.1]}}
CARD = {"scores": {}, "flags": FLAGS, "guards": GUARDS}
WORDS = (
    "2 outputs are nearly their content images. Pairs: 1, 2",
    "unusually near the reference",
    "painted differently, by up to 12 grey levels. Pairs: 4, 8",
    "it failed. Pairs: 4, 8",
)


@pytest.fixture(name="submission")
def make_flagged() -> Submission:
    made = make_scored_submission(phase=make_phase())
    EvaluationRun.objects.filter(submission=made).update(card=CARD)
    return made


@pytest.fixture(name="organizer")
def log_in_organizer(submission: Submission) -> Client:
    user = make_user()
    add_organizer(submission.phase.competition, user)
    client = Client()
    client.force_login(user)
    return client


def admin_page(client: Client, submission: Submission) -> str:
    address = reverse("admin:submissions_submission_change", args=[submission.pk])
    return client.get(address).content.decode()


def test_organizers_read_what_was_noticed_and_in_which_pairs(
    organizer: Client, submission: Submission
) -> None:
    page = admin_page(organizer, submission)
    for words in WORDS:
        assert words in page


def make_run(phase: Phase, ratio: float, **team: Any) -> Submission:
    """Record a run of a new team whose style gets ``ratio`` times as bad when saved as JPEG."""
    made = make_scored_submission(phase=phase, team=make_team(phase=phase, **team))
    found = {"pairs": [0, 1], "ratios": {"jpeg": {"style": ratio, "ssim": ratio}}}
    flags = [{"code": "sensitive", "pairs": [0], "value": ratio, "metric": "style"}]
    card = {"scores": {}, "flags": flags if ratio > LIMIT else [], "guards": {"sensitivity": found}}
    EvaluationRun.objects.filter(submission=made).update(card=card)
    return made


def test_sensitivity_is_judged_alone_at_first_and_later_beside_the_field(
    organizer: Client, submission: Submission
) -> None:
    phase = submission.phase
    odd = make_run(phase, 1.6)
    assert "gets 1.60 times as bad when the outputs are saved as JPEG. Pairs: 1, 2" in (
        admin_page(organizer, odd)
    )
    for _ in range(3):
        make_run(phase, 1.55)
    assert "times as bad" not in admin_page(organizer, odd)  # here that is usual
    odder = make_run(phase, 2.2)
    page = admin_page(organizer, odder)
    assert "Style loss gets 2.20 times as bad when the outputs are saved as JPEG, for" in page
    assert "in the middle 1.55 times. Pairs: 1, 2" in page


def test_each_other_team_has_one_voice_and_baselines_have_theirs(
    organizer: Client, submission: Submission
) -> None:
    phase = submission.phase
    odd = make_run(phase, 1.6)
    team = make_run(phase, 1.0).team
    for _ in range(4):  # however often that team submits
        again = make_scored_submission(phase=phase, team=team)
        EvaluationRun.objects.filter(submission=again).update(
            card=EvaluationRun.objects.get(submission=odd).card
        )
    assert "in the middle" not in admin_page(organizer, odd)  # two teams are no field
    make_run(phase, 1.0, is_baseline=True)
    make_run(phase, 1.02, is_baseline=True)
    assert "in the middle 1.02 times" in admin_page(organizer, odd)
    Submission.objects.filter(team__is_baseline=True).update(
        exclusion="hidden", exclusion_reason="wrong file", excluded_at=now()
    )
    assert "in the middle" not in admin_page(organizer, odd)


def test_the_list_finds_what_is_told_about(organizer: Client, submission: Submission) -> None:
    phase = submission.phase
    copying = make_run(phase, 1.0, is_baseline=True)
    EvaluationRun.objects.filter(submission=copying).update(card={"scores": {}, "flags": FLAGS[:1]})
    expected = {"yes": {submission, make_run(phase, 1.6)}, "no": {copying, make_run(phase, 1.0)}}
    address = reverse("admin:submissions_submission_changelist")
    for asked, rows in expected.items():  # the field is too small to be one
        with CaptureQueriesContext(connection) as queries:
            page = organizer.get(address, {"noticed": asked})
        assert set(page.context["cl"].result_list) == rows
        few = len(queries)
        for _ in range(2):
            more = make_run(phase, 1.0)
            if asked == "yes":
                EvaluationRun.objects.filter(submission=more).update(card=CARD)
        with CaptureQueriesContext(connection) as queries:
            assert organizer.get(address, {"noticed": asked}).status_code == 200
        assert len(queries) == few


def test_the_page_of_a_run_says_the_same(organizer: Client, submission: Submission) -> None:
    run = submission.runs.get()
    page = organizer.get(reverse("admin:evaluation_evaluationrun_change", args=[run.pk]))
    for words in WORDS:
        assert words in page.content.decode()


def test_a_declared_baseline_copies_on_purpose_and_does_nothing_else_on_purpose(
    organizer: Client, submission: Submission
) -> None:
    Team.objects.filter(pk=submission.team_id).update(is_baseline=True)
    page = admin_page(organizer, submission)
    assert WORDS[0] not in page
    assert all(words in page for words in WORDS[1:])


def test_organizers_read_it_in_chinese_too(organizer: Client, submission: Submission) -> None:
    organizer.cookies["django_language"] = "zh-hans"
    page = admin_page(organizer, submission)
    for words in ("几乎相同", "异常接近", "相差最多 12 个灰度级", "失败了"):
        assert words in page


def test_only_organizers_get_flags_with_the_score_card(
    organizer: Client, submission: Submission
) -> None:
    page = reverse("score-card", args=[submission.pk])
    rest = reverse("api-submission", args=[submission.pk])
    assert organizer.get(page).json() == organizer.get(rest).json()["card"] == CARD
    owner = Client()
    owner.force_login(submission.team.participants.get().user)
    for other in (owner, Client()):
        assert other.get(page).json() == other.get(rest).json()["card"] == {"scores": {}}
