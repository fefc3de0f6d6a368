from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from rest_framework.test import APIClient

from evaluation.models import EvaluationRun, Outcome, Stage
from submissions.models import Submission
from submissions.states import Status
from tests.api.conftest import Entrant, client_for
from tests.factories import (
    make_competition,
    make_phase,
    make_scored_submission,
    make_submission,
    make_user,
)
from tests.uploads import make_body

pytestmark = pytest.mark.django_db
Enter = Callable[..., Entrant]


def address_of(submission: Submission) -> str:
    return f"/api/v1/submissions/{submission.pk}/"


def read(client: APIClient, submission: Submission) -> Any:
    response = client.get(address_of(submission))
    assert response.status_code == 200, response.text
    return response.json()


# --- My list ------------------------------------------------------------------------------------
def test_a_team_lists_its_own_submissions_latest_first(enter: Enter, entrant: Entrant) -> None:
    rival = enter(entrant.phase)
    make_scored_submission(phase=entrant.phase, team=rival.team)
    ids = [entrant.submit(make_body()).json()["id"] for _ in range(2)]
    page = entrant.client.get(entrant.url).json()
    assert [row["id"] for row in page["results"]] == ids[::-1]
    assert page["count"] == 2


def test_the_list_needs_a_token(entrant: Entrant) -> None:
    response = APIClient().get(entrant.url)
    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"


def test_the_list_takes_as_many_queries_for_50_rows_as_for_1(entrant: Entrant) -> None:
    def listing(rows: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(entrant.client.get(entrant.url).json()["results"]) == rows
        return len(queries)

    make = {"phase": entrant.phase, "team": entrant.team, "status": Status.QUEUED}
    make_submission(**make)
    listing(1)
    one = listing(1)
    for minutes in range(49):
        make_submission(**make, queued_at=now() - timedelta(minutes=minutes))
    assert listing(50) == one


# --- One submission -----------------------------------------------------------------------------
def test_a_queued_submission_says_where_it_stands(entrant: Entrant) -> None:
    done = make_scored_submission(phase=entrant.phase)
    Submission.objects.filter(pk=done.pk).update(
        started_at=now() - timedelta(minutes=2), finished_at=now()
    )
    first, second, mine = (
        make_submission(
            phase=entrant.phase,
            status=Status.QUEUED,
            queued_at=now() - timedelta(minutes=age),
            **({"team": entrant.team} if age == 1 else {}),
        )
        for age in (3, 2, 1)
    )
    assert first != second
    body = read(entrant.client, mine)
    assert body["status"] == "queued"
    assert body["queue_position"] == 3
    assert body["expected_start"] > body["created_at"]
    assert body["failure"] is None
    assert body["scores"] == {}
    assert body["card"] is None
    assert body["outputs"] == []


def test_a_running_submission_shows_its_progress(entrant: Entrant) -> None:
    running = make_submission(
        phase=entrant.phase,
        team=entrant.team,
        status=Status.RUNNING,
        step="outputs",
        progress_done=7,
        progress_of=24,
    )
    body = read(entrant.client, running)
    assert body["progress"] == {"done": 7, "of": 24}
    assert body["step"] == "outputs"
    assert body["queue_position"] is None


def test_a_failed_submission_explains_itself_to_its_team_only(entrant: Entrant) -> None:
    failed = make_submission(
        phase=entrant.phase,
        team=entrant.team,
        status=Status.FAILED,
        failure_code="too_slow",
        failure_facts={"limit_s": 300},
    )
    EvaluationRun.objects.create(
        submission=failed,
        attempt=1,
        stage=Stage.SCORE,
        outcome=Outcome.REFUSED,
        worker="w",
        finished_at=now(),
        log="what the generator said",
    )
    body = read(entrant.client, failed)
    assert body["failure"]["code"] == "too_slow"
    assert "300 seconds" in body["failure"]["detail"]
    assert body["log"] == "what the generator said"
    for outsider in (client_for(), client_for(make_user())):
        assert outsider.get(address_of(failed)).status_code == 404


def test_anybody_reads_a_scored_submission_but_not_what_is_its_teams_own(db: None) -> None:
    scored = make_scored_submission(value=2.0)
    body = read(client_for(), scored)
    assert body["status"] == "scored"
    assert body["scores"]["total"] == {"value": 2.0, "low": 1.9, "high": 2.1}
    assert body["scores"].keys() == set(scored.phase.recipe.metrics)
    assert body["card"] == {"scores": {}}
    private = ("log", "file_name", "size_bytes", "manifest")
    assert [body[key] for key in private] == [None] * len(private)
    assert [row["position"] for row in body["outputs"]] == [0, 1]
    assert body["outputs"][0]["scores"]["content"] == 2.0
    assert body["outputs"][0]["content"] == "content-0"


def test_pictures_and_their_values_stay_hidden_with_the_pairs(entrant: Entrant) -> None:
    phase = make_phase(pairs_public=False, competition=entrant.phase.competition)
    scored = make_scored_submission(phase=phase, team=entrant.team)
    card = {"scores": {"total": {"value": 1.0}}, "per_pair": {"content": [1.0]}}
    EvaluationRun.objects.update(card=card)
    picture = f"{address_of(scored)}outputs/0/"
    for viewer in (client_for(), entrant.client):
        body = read(viewer, scored)
        assert body["scores"]["total"]["value"] == 1.0
        assert body["outputs"] is None
        assert "per_pair" not in body["card"]
        assert viewer.get(picture).status_code == 404
    organizer = make_user()
    phase.competition.organizers.add(organizer)
    body = read(client_for(organizer), scored)
    assert len(body["outputs"]) == 2
    assert body["card"] == card
    assert client_for(organizer).get(picture).status_code == 200


def test_the_picture_of_a_pair_comes_as_png(db: None) -> None:
    scored = make_scored_submission()
    url = read(client_for(), scored)["outputs"][1]["url"]
    response: Any = client_for().get(url)
    assert response.status_code == 200
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert b"".join(response.streaming_content).startswith(b"\x89PNG")
    assert client_for().get(f"{address_of(scored)}outputs/99/").status_code == 404


def test_scored_submissions_of_a_draft_are_hidden(db: None) -> None:
    phase = make_phase(competition=make_competition(published_at=None))
    scored = make_scored_submission(phase=phase)
    for url in (address_of(scored), f"{address_of(scored)}outputs/0/"):
        assert client_for().get(url).status_code == 404
        assert client_for(make_user()).get(url).status_code == 404


def test_a_withdrawn_submission_is_gone_for_others(entrant: Entrant) -> None:
    scored = make_scored_submission(phase=entrant.phase, team=entrant.team)
    assert scored.move(Status.WITHDRAWN)
    assert client_for().get(address_of(scored)).status_code == 404
    assert read(entrant.client, scored)["status"] == "withdrawn"


def test_a_submission_takes_as_many_queries_for_10_pairs_as_for_2(db: None) -> None:
    from tests.factories import make_reference_set

    def count(pairs: int) -> int:
        phase = make_phase(reference_set=make_reference_set(pairs=pairs))
        scored = make_scored_submission(phase=phase)
        with CaptureQueriesContext(connection) as queries:
            assert len(read(client_for(), scored)["outputs"]) == pairs
        return len(queries)

    assert count(2) == count(10)


# --- Cancel -------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [Status.CHECKING, Status.QUEUED, Status.RUNNING])
def test_a_team_cancels_what_has_not_ended(entrant: Entrant, status: Status) -> None:
    active = make_submission(phase=entrant.phase, team=entrant.team, status=status)
    response = entrant.client.post(f"{address_of(active)}cancel/")
    assert response.status_code == 200
    assert response.json()["status"] == "cancelled"
    again = entrant.client.post(f"{address_of(active)}cancel/")
    assert again.status_code == 409
    assert again.json()["code"] == "already_ended"


@pytest.mark.parametrize("status", [Status.SCORED, Status.FAILED, Status.REJECTED])
def test_what_has_ended_cannot_be_cancelled(entrant: Entrant, status: Status) -> None:
    ended = make_submission(phase=entrant.phase, team=entrant.team, status=status)
    response = entrant.client.post(f"{address_of(ended)}cancel/")
    assert response.status_code == 409
    assert response.json()["status"] == 409
    ended.refresh_from_db()
    assert ended.status == status


def test_nobody_cancels_what_belongs_to_others(entrant: Entrant) -> None:
    active = make_submission(phase=entrant.phase)
    scored = make_scored_submission(phase=entrant.phase)
    assert entrant.client.post(f"{address_of(active)}cancel/").status_code == 404
    response = entrant.client.post(f"{address_of(scored)}cancel/")
    assert response.status_code == 403
    assert response.json()["code"] == "not_your_submission"
    assert client_for().post(f"{address_of(active)}cancel/").status_code == 401
    active.refresh_from_db()
    assert not active.has_ended


def test_an_organizer_cancels_any_submission(entrant: Entrant) -> None:
    organizer = make_user()
    entrant.phase.competition.organizers.add(organizer)
    active = make_submission(phase=entrant.phase, team=entrant.team)
    assert client_for(organizer).post(f"{address_of(active)}cancel/").status_code == 200
