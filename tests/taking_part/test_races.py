"""People who press the button at the same moment, on both databases."""

from collections import Counter
from typing import Any

import pytest

from tests.races import RACERS, run_races
from tests.services import fresh_database

ROUNDS = 5


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def races(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    url = None
    if request.param == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    return run_races(
        "tests.taking_part.racers", var=tmp_path_factory.mktemp("var"), database_url=url
    )


def by_round(found: Any) -> list[Counter[str]]:
    """Return what the racers came to, round by round."""
    came_to = [outcome.split() for outcome in found["outcomes"]]
    assert [len(each) for each in came_to] == [ROUNDS] * RACERS, found["outcomes"]
    return [Counter(each) for each in zip(*came_to, strict=True)]


def test_of_several_who_accept_at_once_one_gets_the_last_place(races: Any) -> None:
    found = races["last_place"]
    assert by_round(found) == [Counter(joined=1, team_full=RACERS - 1)] * ROUNDS
    assert found["sizes"] == [2] * ROUNDS


def test_of_several_who_use_one_link_at_once_one_gets_in(races: Any) -> None:
    found = races["one_invitation"]
    assert by_round(found) == [Counter(joined=1, invitation_used=RACERS - 1)] * ROUNDS
    assert found["sizes"] == [2] * ROUNDS


def test_who_accepts_everywhere_at_once_is_in_one_team(races: Any) -> None:
    found = races["one_person"]
    assert found["teams"] == [1] * ROUNDS
    for outcomes in by_round(found):
        assert outcomes["joined"] >= 1
        assert set(outcomes) <= {"joined", "already_joined"}


def test_who_move_to_each_others_teams_at_once_are_all_still_in_one(races: Any) -> None:
    found = races["round_dance"]
    assert found["participants"] == [RACERS] * ROUNDS
    assert found["empty"] == 0
    for outcomes in by_round(found):
        assert outcomes["joined"] >= 1
        assert set(outcomes) <= {"joined", "team_gone"}


def test_of_several_teams_with_one_name_at_once_one_gets_it(races: Any) -> None:
    found = races["one_name"]
    assert found["outcomes"] == ["joined", *["team_name_taken"] * (RACERS - 1)]
    assert (found["participants"], found["teams"]) == (1, 1)


def test_who_joins_several_times_at_once_is_in_once_and_leaves_no_empty_team(races: Any) -> None:
    found = races["join_twice"]
    assert found["outcomes"] == [*["already_joined"] * (RACERS - 1), "joined"]
    assert (found["participants"], found["teams"]) == (1, 1)
