"""Pages ask the database as often for fifty rows as for one."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import Banner
from competitions.services import publish_entry
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db


def count_queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_the_list_of_competitions_needs_the_same_queries_however_long(client: Client) -> None:
    recipe, reference_set = make_recipe(), make_reference_set(pairs=1)
    make_scored_submission(phase=make_phase(recipe=recipe, reference_set=reference_set))
    one = count_queries(client, reverse("home"))
    for number in range(11):
        phase = make_phase(
            competition=make_competition(), recipe=recipe, reference_set=reference_set
        )
        make_scored_submission(phase=phase)
        if number % 2:
            file = f"banners/{number}.webp"
            Banner.objects.create(competition=phase.competition, file=file, width=8, height=2)
    assert count_queries(client, reverse("home")) == one


@pytest.mark.parametrize("is_logged_in", [False, True])
def test_a_board_needs_the_same_queries_however_long(client: Client, is_logged_in: bool) -> None:
    if is_logged_in:
        client.force_login(make_user())
    phase = make_phase()
    submission = make_scored_submission(phase=phase)
    addresses = [
        phase.get_absolute_url(),
        reverse("board", args=[phase.pk]),
        submission.get_absolute_url(),
    ]
    one = [count_queries(client, address) for address in addresses]
    for value in range(49):
        team = make_team(phase=phase)
        publish_entry(
            phase=phase,
            team=team,
            submission_id=make_submission(phase=phase, team=team, status="scored").pk,
            scores={"total": {"value": 10.0 + value, "low": None, "high": None}},
            submitted_at=now(),
        )
    assert [count_queries(client, address) for address in addresses] == one


def test_a_gallery_needs_the_same_queries_however_many_pairs(client: Client) -> None:
    few, many = (
        make_scored_submission(phase=make_phase(reference_set=make_reference_set(pairs=pairs)))
        for pairs in (1, 30)
    )
    one = count_queries(client, few.get_absolute_url())
    assert count_queries(client, many.get_absolute_url()) == one
