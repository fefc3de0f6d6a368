"""Entering a competition: who may, under which terms and which name."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.utils.timezone import now

from competitions import services, teams
from competitions.errors import Conflict, DomainError, Forbidden, Invalid
from competitions.models import Competition, Participant, Team
from tests.factories import make_competition, make_phase, make_team, make_user

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def code_of(act: Callable[[], object], kind: type[DomainError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    return caught.value.code


def join(competition: Competition, **given: str) -> Team:
    return services.join(make_user(), competition, **given)


def test_terms_have_to_be_accepted_and_their_wording_is_kept() -> None:
    competition = make_competition(terms="Be **kind**.")
    wording = hashlib.sha256(b"Be **kind**.").hexdigest()
    assert code_of(lambda: join(competition), Invalid) == "terms_not_accepted"
    assert not Participant.objects.exists()
    before = now()
    team = join(competition, accepted_terms=wording)
    member = team.participants.get()
    assert member.terms_sha256 == wording
    assert member.terms_accepted_at is not None
    assert before <= member.terms_accepted_at <= now()


def test_terms_that_were_reworded_meanwhile_are_not_accepted() -> None:
    competition = make_competition(terms="Be kind.")
    read = teams.hash_terms(competition)
    competition.terms = "Give us everything."
    competition.save()
    assert code_of(lambda: join(competition, accepted_terms=read), Invalid) == "terms_changed"


def test_where_there_are_no_terms_none_are_recorded() -> None:
    member = join(make_competition(terms=" \n")).participants.get()
    assert (member.terms_sha256, member.terms_accepted_at) == ("", None)


def test_nobody_enters_when_every_phase_is_over() -> None:
    phase = make_phase(opens_at=now() - 9 * HOUR, closes_at=now() - 5 * HOUR)
    competition = phase.competition
    assert code_of(lambda: join(competition), Forbidden) == "competition_over"
    make_phase(competition=competition, opens_at=now() + HOUR, closes_at=now() + 2 * HOUR)
    join(competition)


def test_a_phase_without_end_is_never_over() -> None:
    phase = make_phase(opens_at=now() - 9 * HOUR, closes_at=None)
    join(phase.competition)


def test_nobody_enters_once_teams_stay_as_they_are() -> None:
    competition = make_competition(teams_freeze_at=now() - HOUR)
    assert code_of(lambda: join(competition), Forbidden) == "teams_frozen"
    Competition.objects.update(teams_freeze_at=now() + HOUR)
    competition.refresh_from_db()
    join(competition)


@pytest.mark.parametrize("published_in", [None, HOUR])
def test_an_unpublished_competition_is_entered_by_its_organizers_only(
    published_in: timedelta | None,
) -> None:
    organizer = make_user()
    competition = make_competition(published_at=published_in and now() + published_in)
    competition.organizers.add(organizer)
    assert code_of(lambda: join(competition), Forbidden) == "competition_not_published"
    services.join(organizer, competition)


@pytest.mark.parametrize("name", ["Monet", "  monet ", "MO\u200bNET", "monet\n"])
def test_a_name_that_looks_like_another_teams_is_refused(name: str) -> None:
    phase = make_phase()
    make_team(phase=phase, name="Monet", is_baseline=True)
    assert code_of(lambda: join(phase.competition, team_name=name), Conflict) == "team_name_taken"
    join(make_competition(), team_name=name)


@pytest.mark.parametrize("name", ["\u202e\u200b", "\u00ad"])
def test_a_name_nobody_can_see_is_none(name: str) -> None:
    assert code_of(lambda: join(make_competition(), team_name=name), Invalid) == "team_name_empty"


def test_a_name_is_kept_as_one_short_line() -> None:
    assert join(make_competition(), team_name="  The\n\tlast   ones ").name == "The last ones"
    user = make_user(username="x" * 150)
    assert services.join(user, make_competition()).name == "x" * 80


def test_a_team_named_after_its_member_is_refused_when_the_name_is_taken() -> None:
    competition = make_competition()
    join(competition, team_name="alice")
    with pytest.raises(Conflict) as caught:
        services.join(make_user(username="alice"), competition)
    assert caught.value.code == "team_name_taken"
    entered: QuerySet[Participant] = Participant.objects.filter(competition=competition)
    assert entered.count() == Team.objects.count() == 1
