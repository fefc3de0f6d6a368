from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from rest_framework.test import APIClient

from tests.api.conftest import client_for
from tests.factories import make_competition, make_phase, make_recipe, make_user

pytestmark = pytest.mark.django_db
COMPETITIONS = "/api/v1/competitions/"


def read(address: str, client: APIClient | None = None) -> Any:
    response = (client or APIClient()).get(address)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return response.json()


def queries_of(address: str, client: APIClient | None = None) -> int:
    with CaptureQueriesContext(connection) as queries:
        read(address, client)
    return len(queries)


def test_anybody_reads_the_list_of_published_competitions() -> None:
    phase = make_phase()
    make_competition(slug="draft", published_at=None)
    page = read(COMPETITIONS)
    assert page["count"] == 1
    assert page["next"] is None
    assert page["previous"] is None
    (row,) = page["results"]
    assert row["slug"] == phase.competition.slug
    assert row["title"] == phase.competition.title
    assert row["summary"] == "Paint photographs."
    assert row["opens_at"].endswith("Z")


def test_a_competition_lasts_from_its_first_opening_to_its_last_closing() -> None:
    competition = make_competition()
    start = now().replace(microsecond=0)
    for day in (1, 3):
        opens_at = start + timedelta(days=day)
        make_phase(
            competition=competition, opens_at=opens_at, closes_at=opens_at + timedelta(days=1)
        )
    (row,) = read(COMPETITIONS)["results"]
    assert row["opens_at"] == (start + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert row["closes_at"] == (start + timedelta(days=4)).isoformat().replace("+00:00", "Z")


def test_a_competition_with_an_endless_phase_has_no_end() -> None:
    competition = make_competition()
    make_phase(competition=competition)
    make_phase(competition=competition, closes_at=None)
    (row,) = read(COMPETITIONS)["results"]
    assert row["closes_at"] is None


def test_the_page_of_a_competition_describes_its_phases() -> None:
    phase = make_phase(quota_per_day=3, quota_total=7, max_checkpoint_bytes=1000)
    body = read(f"{COMPETITIONS}{phase.competition.slug}/")
    assert body["description"] == "All about **it**."
    (shown,) = body["phases"]
    assert shown["id"] == phase.pk
    assert shown["is_open"] is True
    assert [metric["key"] for metric in shown["metrics"]] == phase.recipe.metrics
    assert shown["ranking"] == {"metric": "total", "direction": "lower"}
    assert shown["quota"]["per_day"] == 3
    assert shown["quota"]["total"] == 7
    assert shown["pairs_public"] is True
    assert shown["pairs"] == 2
    assert shown["image_size"] == 32
    assert shown["max_checkpoint_bytes"] == 1000
    assert shown["time_limit_s"] == 300
    assert shown["extractors"]["vgg"] == {"name": "vgg19-surrogate-1", "sha256": "0" * 64}
    assert shown["uses_surrogates"] is True
    assert shown["recipe"]["sha256"] == phase.recipe.sha256
    assert shown["reference_set_sha256"] == phase.reference_set.sha256
    read(shown["links"]["leaderboard"])


def test_a_metric_that_the_recipe_cannot_measure_is_not_announced() -> None:
    recipe = make_recipe(metrics=["content", "adversarial"])
    phase = make_phase(recipe=recipe)
    (shown,) = read(f"{COMPETITIONS}{phase.competition.slug}/")["phases"]
    assert [metric["key"] for metric in shown["metrics"]] == ["content"]


def test_an_unpublished_competition_is_there_for_its_organizers_only() -> None:
    organizer = make_user()
    draft = make_competition(published_at=None)
    draft.organizers.add(organizer)
    phase = make_phase(competition=draft)
    for address in (f"{COMPETITIONS}{draft.slug}/", f"/api/v1/phases/{phase.pk}/leaderboard/"):
        for outsider in (client_for(), client_for(make_user())):
            response = outsider.get(address)
            assert response.status_code == 404
            assert response.json()["code"] == "not_found"
        read(address, client_for(organizer))
    assert read(COMPETITIONS, client_for(organizer))["count"] == 1


def test_long_lists_come_in_pages() -> None:
    for _ in range(3):
        make_competition()
    first = read(f"{COMPETITIONS}?page_size=2")
    assert len(first["results"]) == 2
    assert first["count"] == 3
    second = read(first["next"])
    assert len(second["results"]) == 1
    assert second["previous"]
    slugs = {row["slug"] for row in first["results"] + second["results"]}
    assert len(slugs) == 3


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "9" * 40])
def test_a_page_that_is_not_there_is_a_clear_404(anybody: APIClient, page: str) -> None:
    response = anybody.get(f"{COMPETITIONS}?page={page}")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_the_list_takes_as_many_queries_for_50_rows_as_for_1() -> None:
    make_phase()
    one = queries_of(COMPETITIONS)
    for _ in range(49):
        competition = make_competition()
        make_phase(competition=competition)
    assert len(read(COMPETITIONS)["results"]) == 50
    assert queries_of(COMPETITIONS) == one


def test_a_competition_takes_as_many_queries_for_10_phases_as_for_1() -> None:
    phase = make_phase()
    address = f"{COMPETITIONS}{phase.competition.slug}/"
    one = queries_of(address)
    for _ in range(9):
        make_phase(competition=phase.competition)
    assert len(read(address)["phases"]) == 10
    assert queries_of(address) == one
