"""Processes at the same moment, on both databases: what must happen once happens once."""

from typing import Any, TypeAlias

import pytest

from tests.races import run_races
from tests.services import fresh_database

Races: TypeAlias = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def races(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Races:
    """Run all races on an empty database of either kind; return what became of each."""
    url = None
    if request.param == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    var = tmp_path_factory.mktemp("var")
    found: Races = run_races("tests.submissions.racers", var=var, database_url=url)
    return found


@pytest.mark.parametrize("name", ["last_slot", "last_place_at_once"])
def test_of_several_uploads_at_once_one_gets_the_last_slot(races: Races, name: str) -> None:
    found = races[name]
    assert found["outcomes"] == ["entered", "quota_spent", "quota_spent", "quota_spent"]
    assert (found["rows"], found["files"]) == (1, 1)


def test_of_several_equal_uploads_at_once_one_gets_in(races: Races) -> None:
    found = races["same_file"]
    assert found["outcomes"] == ["duplicate", "duplicate", "duplicate", "entered"]
    assert (found["rows"], found["files"]) == (1, 1)


def test_of_several_scores_at_once_the_best_stays_on_the_board(races: Races) -> None:
    found = races["board"]
    assert found["outcomes"] == ["published"] * 4
    assert found["board"] == [0.0] * 40


def test_a_team_is_disqualified_while_workers_end_its_submissions(races: Races) -> None:
    found = races["disqualify_or_end"]
    assert found["outcomes"] == ["disqualified", "scored", "scored", "scored"]
    assert (found["excluded"], found["on_board"]) == (40, 0)


def test_of_several_workers_at_once_one_gets_the_row(races: Races) -> None:
    found = races["claim"]
    assert found["outcomes"] == ["claimed", "too late", "too late", "too late"]
    assert (found["status"], found["attempt"]) == ("running", 1)


def test_a_cancelled_row_stays_cancelled_whoever_claims_it(races: Races) -> None:
    found = races["claim_or_cancel"]
    assert found["outcomes"].count("cancelled") == 1
    assert found["outcomes"].count("already_ended") == 1
    assert found["outcomes"].count("claimed") <= 1
    assert found["status"] == "cancelled"
