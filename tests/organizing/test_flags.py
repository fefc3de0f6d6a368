"""Oddities that scoring noticed are shown to organizers, and to nobody else."""

import pytest
from django.test import Client
from django.urls import reverse

from competitions.models import Team
from competitions.organizers import add_organizer
from evaluation.models import EvaluationRun
from submissions.models import Submission
from tests.factories import make_phase, make_scored_submission, make_user

pytestmark = pytest.mark.django_db

FLAGS = [
    {"code": "copies_content", "pairs": [0, 1], "value": 0.99},
    {"code": "near_references", "pairs": [], "value": 0.02},
    {"code": "depends_on_order", "pairs": [3, 7], "value": 12.0},
    {"code": "fails_second_pass", "pairs": [3, 7], "value": 2.0},
]
GUARDS = {"second_pass": {"pairs": [7, 3], "largest": [12, 5], "share": [0.5, 0.1]}}
WORDS = (
    "2 outputs are nearly their content images. Pairs: 1, 2",
    "unusually near the reference",
    "painted differently, by up to 12 grey levels. Pairs: 4, 8",
    "it failed. Pairs: 4, 8",
)


@pytest.fixture(name="submission")
def make_flagged() -> Submission:
    made = make_scored_submission(phase=make_phase())
    card = {"scores": {}, "flags": FLAGS, "guards": GUARDS}
    EvaluationRun.objects.filter(submission=made).update(card=card)
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
    seen = {"scores": {}, "flags": FLAGS, "guards": GUARDS}
    assert organizer.get(page).json() == organizer.get(rest).json()["card"] == seen
    owner = Client()
    owner.force_login(submission.team.participants.get().user)
    for other in (owner, Client()):
        assert other.get(page).json() == other.get(rest).json()["card"] == {"scores": {}}
