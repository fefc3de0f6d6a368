"""Boards that are kept for visitors: what they share, what they don't, and for how long."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from competitions.services import publish_entry
from tests.factories import make_entry, make_phase, make_scored_submission, make_team, make_user
from tests.races import RACERS, run_races
from tests.services import fresh_database


@pytest.fixture(autouse=True)
def _kept(settings: Settings) -> Iterator[None]:
    settings.PAGES_KEPT_S = 60
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()
    yield
    cache.clear()


def token_of(content: bytes) -> bytes:
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', content)
    assert found
    return found[1]


@pytest.mark.django_db
def test_the_second_visitor_costs_no_query_and_has_a_token_of_their_own() -> None:
    phase = make_phase()
    make_entry(phase, 1.5)
    address = reverse("board", args=[phase.pk])
    first = Client().get(address)
    strict = Client(enforce_csrf_checks=True)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        second = strict.get(address)
    assert len(asked) == 0
    assert second.headers.items() >= {("Content-Type", "text/html; charset=utf-8")}
    blank = [page.content.replace(token_of(page.content), b"") for page in (first, second)]
    assert blank[0] == blank[1]
    assert token_of(first.content) != token_of(second.content)
    data = {"csrfmiddlewaretoken": token_of(second.content).decode(), "language": "zh-hans"}
    assert strict.post(reverse("set_language"), data).status_code == 302
    assert strict.get(address).content != second.content  # in their language now


@pytest.mark.django_db
def test_what_is_published_is_on_the_board_at_once(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    phase = make_phase()
    make_entry(phase, 1.5)
    address = reverse("board", args=[phase.pk])
    assert "Newcomers" not in Client().get(address).content.decode()
    team = make_team(make_user(), phase=phase, name="Newcomers")
    submission = make_scored_submission(phase=phase, team=team, value=0.5)
    assert "Newcomers" not in Client().get(address).content.decode()  # kept as it was
    with django_capture_on_commit_callbacks(execute=True):
        publish_entry(
            phase=phase,
            team=team,
            submission_id=submission.pk,
            scores={phase.ranking_metric: {"value": 0.5}},
            submitted_at=submission.created_at,
        )
    assert "Newcomers" in Client().get(address).content.decode()


@pytest.mark.django_db
def test_who_is_logged_in_or_searches_gets_a_page_of_their_own() -> None:
    phase, member = make_phase(), make_user()
    make_team(member, phase=phase)
    address = reverse("board", args=[phase.pk])
    Client().get(address)
    client = Client()
    client.force_login(member)
    page = client.get(address)
    assert page.context["board_team"] is not None  # a kept page has no context
    assert Client().get(address).context is None
    assert Client().get(address, {"q": "x"}).context is not None


@pytest.mark.django_db
def test_a_phase_that_is_not_to_be_seen_is_not_kept() -> None:
    assert Client().get(reverse("board", args=[999])).status_code == 404
    assert Client().get(reverse("board", args=[999])).context is not None


def test_of_many_visitors_at_once_one_makes_the_board(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    # Without Redis the cache is a folder, whose locks are not exact: two may make a board there.
    found = run_races(
        "tests.board.racers",
        var=tmp_path,
        database_url=fresh_database(postgres_url),
        redis_url=redis_url,
    )
    assert found["board"]["outcomes"] == [" ".join(["200"] * 5)] * RACERS
    assert found["board"]["made"] == [1] * 5
