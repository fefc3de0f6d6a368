import math
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from competitions import services
from competitions.models import LeaderboardEntry, Phase
from tests.factories import make_phase, make_scored_submission, make_team, make_user

pytestmark = pytest.mark.django_db


def board_of(phase: Phase) -> Any:
    response = APIClient().get(f"/api/v1/phases/{phase.pk}/leaderboard/")
    assert response.status_code == 200
    return response.json()


def test_anybody_reads_the_board_best_first() -> None:
    phase = make_phase()
    worse = make_scored_submission(phase=phase, value=2.0)
    better = make_scored_submission(phase=phase, value=1.0)
    page = board_of(phase)
    assert page["count"] == 2
    first, second = page["results"]
    assert first["rank"] == 1
    assert first["submission"] == str(better.pk)
    assert first["team"] == {"id": better.team_id, "name": better.team.name}
    assert first["is_baseline"] is False
    assert first["scores"]["total"] == {"value": 1.0, "low": 0.9, "high": 1.1}
    assert first["reason"] is None
    assert first["submitted_at"].endswith("Z")
    assert second["rank"] == 2
    assert second["submission"] == str(worse.pk)
    assert APIClient().get(first["links"]["submission"]).status_code == 200


def test_baselines_are_marked() -> None:
    phase = make_phase()
    team = make_team(make_user(), phase=phase, is_baseline=True)
    make_scored_submission(phase=phase, team=team)
    (row,) = board_of(phase)["results"]
    assert row["is_baseline"] is True


def test_equal_values_share_a_rank() -> None:
    phase = make_phase()
    for value in (1.0, 1.0, 2.0):
        make_scored_submission(phase=phase, value=value)
    assert [row["rank"] for row in board_of(phase)["results"]] == [1, 1, 3]


@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({}, "missing"),
        ({"total": None}, "missing"),
        ({"total": {"value": None}}, "missing"),
        ({"total": {"value": "nan"}}, "missing"),
        ({"total": {"value": math.inf}}, "not_finite"),
        ({"total": {"value": -math.inf}}, "not_finite"),
        ({"total": {"value": math.nan}}, "not_finite"),
    ],
)
def test_an_entry_without_a_finite_value_has_no_rank_and_says_why(
    direction: str, scores: dict[str, Any], reason: str
) -> None:
    phase = make_phase(ranking_direction=direction)
    ranked = make_scored_submission(phase=phase, value=5.0)
    unranked = make_scored_submission(phase=phase, value=1.0)
    LeaderboardEntry.objects.filter(submission_id=unranked.pk).delete()
    services.publish_entry(
        phase=phase,
        team=unranked.team,
        submission_id=unranked.pk,
        scores=scores,
        submitted_at=unranked.created_at,
    )
    first, last = board_of(phase)["results"]
    assert first["submission"] == str(ranked.pk)
    assert first["rank"] == 1
    assert last["rank"] is None
    assert last["reason"]["code"] == reason
    assert last["reason"]["detail"]
    if reason == "not_finite":
        assert last["scores"]["total"]["value"] is None


def test_a_phase_that_is_not_there_has_no_board(anybody: APIClient) -> None:
    for number in (1, 10**30):
        response = anybody.get(f"/api/v1/phases/{number}/leaderboard/")
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"


def test_a_board_takes_as_many_queries_for_50_rows_as_for_1() -> None:
    phase = make_phase()
    make_scored_submission(phase=phase)
    with CaptureQueriesContext(connection) as one:
        board_of(phase)
    for value in range(49):
        make_scored_submission(phase=phase, value=value)
    with CaptureQueriesContext(connection) as fifty:
        assert len(board_of(phase)["results"]) == 50
    assert len(fifty) == len(one)
