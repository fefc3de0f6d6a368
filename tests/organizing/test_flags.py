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
]
WORDS = ("2 outputs are nearly their content images. Pairs: 1, 2", "unusually near the reference")


@pytest.fixture(name="submission")
def make_flagged() -> Submission:
    made = make_scored_submission(phase=make_phase())
    EvaluationRun.objects.filter(submission=made).update(card={"scores": {}, "flags": FLAGS})
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


def test_a_declared_baseline_copies_on_purpose(organizer: Client, submission: Submission) -> None:
    Team.objects.filter(pk=submission.team_id).update(is_baseline=True)
    assert "Pairs: 1, 2" not in admin_page(organizer, submission)


def test_only_organizers_get_flags_with_the_score_card(
    organizer: Client, submission: Submission
) -> None:
    page = reverse("score-card", args=[submission.pk])
    rest = reverse("api-submission", args=[submission.pk])
    assert organizer.get(page).json()["flags"] == FLAGS
    assert organizer.get(rest).json()["card"]["flags"] == FLAGS
    assert "flags" not in Client().get(page).json()
    assert "flags" not in Client().get(rest).json()["card"]
