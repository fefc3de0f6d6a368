from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils.timezone import now

from competitions import policies, services
from competitions.board import board_rows
from competitions.errors import Conflict, Forbidden
from competitions.models import Competition, LeaderboardEntry, Phase, Team
from tests.factories import make_competition, make_phase, make_team, make_user

pytestmark = pytest.mark.django_db


def publish(phase: Phase, team: Team, value: Any, submission: UUID | None = None) -> bool:
    return services.publish_entry(
        phase=phase,
        team=team,
        submission_id=submission or uuid4(),
        scores={"total": {"value": value}},
        submitted_at=now(),
    )


def value_of(team: Team) -> float | None:
    return LeaderboardEntry.objects.get(team=team).ranking_value


# --- The board ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("direction", "values", "best"),
    [("lower", [3.0, 1.0, 2.0], 1.0), ("higher", [1.0, 3.0, 2.0], 3.0)],
)
def test_a_teams_best_stays_on_the_board(direction: str, values: list[float], best: float) -> None:
    phase = make_phase(ranking_direction=direction)
    team = make_team(phase=phase)
    assert [publish(phase, team, value) for value in values] == [True, True, False]
    assert value_of(team) == best


def test_of_two_equal_submissions_the_earlier_stays() -> None:
    phase = make_phase()
    team, first = make_team(phase=phase), uuid4()
    publish(phase, team, 1.0, first)
    assert not publish(phase, team, 1.0)
    assert LeaderboardEntry.objects.get().submission_id == first


def test_a_ranked_submission_takes_the_place_of_an_unranked_one() -> None:
    phase = make_phase()
    team = make_team(phase=phase)
    assert publish(phase, team, None)
    (row,) = board_rows(phase)
    assert row.rank is None
    assert row.entry.unranked_reason == "missing"
    assert publish(phase, team, 5.0)
    assert not publish(phase, team, float("nan"))
    assert value_of(team) == 5.0


def test_scoring_the_same_submission_again_replaces_its_entry_even_if_worse() -> None:
    phase = make_phase()
    team, submission = make_team(phase=phase), uuid4()
    publish(phase, team, 1.0, submission)
    assert publish(phase, team, 2.0, submission)
    assert value_of(team) == 2.0


def test_one_team_takes_part_in_two_boards() -> None:
    phase = make_phase()
    other = make_phase(competition=phase.competition)
    team = make_team(phase=phase)
    publish(phase, team, 1.0)
    publish(other, team, 2.0)
    assert [row.entry.ranking_value for row in board_rows(phase)] == [1.0]
    assert [row.entry.ranking_value for row in board_rows(other)] == [2.0]


# --- Joining ------------------------------------------------------------------------------------
def test_whoever_joins_is_a_team_of_one() -> None:
    user, competition = make_user(username="ada"), make_competition()
    team = services.join(user, competition)
    assert team.name == "ada"
    assert [row.user for row in team.participants.all()] == [user]
    assert policies.team_of(user, competition) == team
    with pytest.raises(Conflict) as caught:
        services.join(user, competition)
    assert caught.value.code == "already_joined"


def test_a_team_name_is_taken_once() -> None:
    competition = make_competition()
    services.join(make_user(), competition, team_name="Us")
    with pytest.raises(Conflict) as caught:
        services.join(make_user(), competition, team_name="Us")
    assert caught.value.code == "team_name_taken"


# --- Who may what -------------------------------------------------------------------------------
def test_only_participants_submit_and_only_while_the_phase_is_open() -> None:
    phase = make_phase()
    user = make_user()
    with pytest.raises(Forbidden) as caught:
        policies.require_can_submit(user, phase=phase, at=now())
    assert caught.value.code == "not_a_participant"
    team = make_team(user, phase=phase)
    assert policies.require_can_submit(user, phase=phase, at=now()) == team
    for moment in (phase.opens_at - timedelta(seconds=1), phase.closes_at):
        assert moment is not None
        with pytest.raises(Forbidden) as caught:
            policies.require_can_submit(user, phase=phase, at=moment)
        assert caught.value.code == "phase_closed"


def test_members_of_another_competition_do_not_submit_here() -> None:
    user = make_user()
    make_team(user, phase=make_phase())
    with pytest.raises(Forbidden):
        policies.require_can_submit(user, phase=make_phase(), at=now())


def test_organizers_are_named_or_superusers() -> None:
    competition, named = make_competition(), make_user()
    competition.organizers.add(named)
    assert policies.is_organizer(named, competition)
    assert policies.is_organizer(make_user(is_superuser=True), competition)
    assert not policies.is_organizer(make_user(is_staff=True), competition)
    assert not policies.is_organizer(AnonymousUser(), competition)


def test_outputs_of_hidden_pairs_are_for_organizers_only() -> None:
    phase, organizer = make_phase(pairs_public=False), make_user()
    phase.competition.organizers.add(organizer)
    participant = make_user()
    make_team(participant, phase=phase)
    assert policies.may_see_outputs(organizer, phase)
    assert not policies.may_see_outputs(participant, phase)
    assert not policies.may_see_outputs(AnonymousUser(), phase)
    assert policies.may_see_outputs(AnonymousUser(), make_phase(pairs_public=True))


def test_a_draft_is_visible_to_its_organizers_and_superusers() -> None:
    draft, organizer = make_competition(published_at=None), make_user()
    draft.organizers.add(organizer)
    make_phase(competition=draft)
    for viewer, count in (
        (AnonymousUser(), 0),
        (make_user(), 0),
        (organizer, 1),
        (make_user(is_superuser=True), 1),
    ):
        assert Competition.objects.visible_to(viewer).count() == count
        assert Phase.objects.visible_to(viewer).count() == count


def test_a_competition_is_published_from_its_date_on() -> None:
    make_competition(published_at=now() + timedelta(hours=1))
    assert not Competition.objects.visible_to(AnonymousUser()).exists()
