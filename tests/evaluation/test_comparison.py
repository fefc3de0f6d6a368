"""What a page says of the difference to the team's best submission before."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from competitions.models import Phase, Team
from competitions.templatetags.scores import MINUS
from evaluation.models import EvaluationRun
from styletransfer.comparison import compare_cards
from styletransfer.score_card import ScoreCard
from styletransfer.values import Estimate
from submissions.models import Submission
from tests.factories import make_phase, make_reference_set, make_scored_submission, make_team

pytestmark = pytest.mark.django_db


def make_card(style: list[float], **provenance: Any) -> ScoreCard:
    mean = sum(style) / len(style)
    named = {"recipe_sha256": "a" * 64, "references_sha256": "b" * 64, "extractors": {}}
    named |= {"metrics": {"style": {"version": 1}}}
    return ScoreCard(
        {"style": Estimate(mean, mean, mean)}, {"style": style}, {}, named | provenance
    )


def enter(phase: Phase, team: Team, card: ScoreCard, *, hours_ago: int) -> Submission:
    entered = make_scored_submission(
        phase=phase,
        team=team,
        value=card.scores["style"].value,
        created_at=now() - timedelta(hours=hours_ago),
    )
    EvaluationRun.objects.filter(submission=entered).update(card=card.to_json())
    return entered


def text_of(submission: Submission) -> str:
    return " ".join(Client().get(submission.get_absolute_url()).content.decode().split())


@pytest.fixture
def phase() -> Phase:
    return make_phase(reference_set=make_reference_set(pairs=4))


def test_a_difference_in_every_pair_is_shown_with_its_interval(phase: Phase) -> None:
    team = make_team(phase=phase)
    first, second = make_card([5.0, 3.0, 4.0, 4.0]), make_card([3.0, 1.5, 2.0, 2.5])
    enter(phase, team, first, hours_ago=2)
    text = text_of(enter(phase, team, second, hours_ago=1))
    (difference,) = compare_cards(first, second)
    assert (difference.low, difference.high) == (-2.0, -1.5)
    assert f"{MINUS}2.00 … {MINUS}1.50" in text
    assert "no difference shown" not in text


def test_a_difference_that_a_few_pairs_make_is_called_none(phase: Phase) -> None:
    team = make_team(phase=phase)
    enter(phase, team, make_card([5.0, 3.0, 4.0, 4.0]), hours_ago=2)
    text = text_of(enter(phase, team, make_card([1.0, 3.5, 4.5, 4.5]), hours_ago=1))
    assert f"{MINUS}0.6250 better" in text
    assert "no difference shown" in text


def test_cards_that_do_not_compare_leave_the_interval_out(phase: Phase) -> None:
    team = make_team(phase=phase)
    enter(phase, team, make_card([5.0, 3.0, 4.0, 4.0]), hours_ago=2)
    other = make_card([3.0, 1.5, 2.0, 2.5], recipe_sha256="c" * 64)
    text = text_of(enter(phase, team, other, hours_ago=1))
    assert "better" in text
    assert f"{MINUS}2.00 … {MINUS}1.50" not in text
