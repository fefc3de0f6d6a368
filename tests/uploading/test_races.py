"""Processes that write, complete and submit the same upload at once, on both databases."""

from typing import Any, TypeAlias

import pytest

from tests.races import run_races
from tests.services import fresh_database
from tests.uploading.racers import CONTENT

Races: TypeAlias = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def races(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Races:
    """Run all races on an empty database of either kind; return what became of each."""
    url = None
    if request.param == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    var = tmp_path_factory.mktemp("var")
    found: Races = run_races("tests.uploading.racers", var=var, database_url=url)
    return found


def test_of_several_writers_at_once_one_writes(races: Races) -> None:
    found = races["write"]
    assert found["outcomes"].count("written") == 1
    assert set(found["outcomes"]) <= {"written", "upload_locked", "offset_mismatch"}
    assert (found["offset"], found["counted"], found["pending"]) == (len(CONTENT), 1, 0)
    assert found["files"] == 1


def test_of_several_who_put_it_together_one_does(races: Races) -> None:
    found = races["complete"]
    assert "complete" in found["outcomes"]
    assert set(found["outcomes"]) <= {"complete", "upload_locked"}
    assert (found["status"], found["is_whole"]) == ("complete", True)
    assert (found["files"], found["counted"], found["pending"]) == (1, 0, 0)


@pytest.mark.parametrize("name", ["submit", "submit_unfinished"])
def test_an_upload_is_submitted_once_whoever_is_first(races: Races, name: str) -> None:
    found = races[name]
    assert found["outcomes"].count("entered") == 1
    assert set(found["outcomes"]) <= {"entered", "upload_used", "upload_locked"}
    assert (found["status"], found["submissions"], found["files"]) == ("used", 1, 1)
    assert found["is_whole"]


def test_an_upload_is_submitted_or_given_up_and_never_both(races: Races) -> None:
    found = races["submit_or_give_up"]
    if found["status"] == "used":
        assert found["outcomes"] == ["entered", "too late", "too late", "upload_used"]
        assert (found["submissions"], found["files"], found["is_whole"]) == (1, 1, True)
    else:
        assert "given up" in found["outcomes"]
        assert "entered" not in found["outcomes"]
        assert (found["submissions"], found["files"]) == (0, 0)


def test_no_more_begin_than_one_may_have_under_way(races: Races) -> None:
    found = races["begin"]
    assert found["under_way"] == 5
    assert "too_many_uploads" in found["outcomes"]
