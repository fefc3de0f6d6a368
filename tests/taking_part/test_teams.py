"""Invitations, moving, leaving and renaming: what a team's members can do, and nobody else."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.utils.timezone import now

from arena.accounts.models import User
from competitions import services, teams
from competitions.errors import Conflict, DomainError, Forbidden, Invalid
from competitions.models import Competition, Invitation, Participant, Phase, Team
from submissions.states import Status
from tests.factories import make_competition, make_phase, make_submission, make_team, make_user

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def code_of(act: Callable[[], object], kind: type[DomainError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    return caught.value.code


@pytest.fixture
def phase() -> Phase:
    return make_phase(competition=make_competition(max_team_size=2))


@pytest.fixture
def alice() -> User:
    return make_user(username="alice")


@pytest.fixture
def team(phase: Phase, alice: User) -> Team:
    return make_team(alice, phase=phase, name="Team A")


def invite(team: Team) -> Invitation:
    member = team.participants.first()
    assert member is not None
    return teams.invite(team, by=member.user)[0]


def members(team: Team) -> set[str]:
    return set(team.participants.values_list("user__username", flat=True))


# --- Invitations --------------------------------------------------------------------------------
def test_the_key_of_an_invitation_is_nowhere_in_the_database(team: Team, alice: User) -> None:
    invitation, key = teams.invite(team, by=alice, email="bob@example.org")
    row = Invitation.objects.filter(pk=invitation.pk).values().get()
    assert key not in str(row)
    assert row["key_sha256"] == teams.hash_key(key)
    assert timedelta(days=6, hours=23) < invitation.expires_at - now() <= teams.VALID_FOR


def test_who_is_invited_is_no_member_before_they_accept(team: Team) -> None:
    bob = make_user(username="bob")
    invitation = invite(team)
    assert members(team) == {"alice"}
    assert teams.accept(invitation, by=bob) == team
    assert members(team) == {"alice", "bob"}
    invitation.refresh_from_db()
    assert invitation.accepted_by == bob
    assert invitation.accepted_at is not None


def test_an_invitation_serves_one_person(phase: Phase, team: Team) -> None:
    Competition.objects.update(max_team_size=5)
    team.refresh_from_db()
    invitation = invite(team)
    teams.accept(invitation, by=make_user())
    assert code_of(lambda: teams.accept(invitation, by=make_user()), Conflict) == "invitation_used"
    assert team.participants.count() == 2


def test_an_invitation_that_was_revoked_or_is_old_is_refused(team: Team, alice: User) -> None:
    revoked, old = invite(team), invite(team)
    teams.revoke(team, revoked.pk, by=alice)
    Invitation.objects.filter(pk=old.pk).update(expires_at=now())
    for invitation, code in ((revoked, "invitation_revoked"), (old, "invitation_expired")):
        invitation.refresh_from_db()
        assert code_of(partial(teams.accept, invitation, by=make_user()), Conflict) == code
    assert members(team) == {"alice"}


def test_a_full_team_takes_nobody_and_invites_nobody(team: Team, alice: User) -> None:
    early = invite(team)
    teams.accept(invite(team), by=make_user())
    assert code_of(lambda: teams.accept(early, by=make_user()), Conflict) == "team_full"
    assert code_of(lambda: invite(team), Conflict) == "team_full"
    assert team.participants.count() == 2


def test_whoever_accepts_accepts_the_terms_too(phase: Phase, team: Team) -> None:
    Competition.objects.update(terms="Be kind.")
    invitation = Invitation.objects.select_related("team__competition").get(pk=invite(team).pk)
    assert code_of(lambda: teams.accept(invitation, by=make_user()), Invalid) == (
        "terms_not_accepted"
    )
    bob = make_user()
    wording = teams.hash_terms(invitation.team.competition)
    teams.accept(invitation, by=bob, accepted_terms=wording)
    assert Participant.objects.get(user=bob).terms_sha256 == wording


def test_open_invitations_are_few_and_revoking_gives_no_more_mails(team: Team, alice: User) -> None:
    for _ in range(teams.OPEN_INVITATIONS):
        invite(team)
    assert code_of(lambda: invite(team), Conflict) == "too_many_invitations"
    for _ in range(2):
        for invitation in Invitation.objects.filter(revoked_at=None):
            teams.revoke(team, invitation.pk, by=alice)
        made = Invitation.objects.count()
        for _ in range(min(teams.OPEN_INVITATIONS, teams.INVITATIONS_A_DAY - made)):
            invite(team)
    assert Invitation.objects.count() == teams.INVITATIONS_A_DAY
    assert code_of(lambda: invite(team), Conflict) == "too_many_invitations"
    Invitation.objects.update(created_at=now() - DAY)
    invite(team)


def test_strangers_and_other_teams_change_nothing(phase: Phase, team: Team) -> None:
    rival, stranger = make_user(), make_user()
    make_team(rival, phase=phase)
    invitation = invite(team)
    for other in (rival, stranger):
        acts: list[Callable[[], object]] = [
            partial(teams.invite, team, by=other),
            partial(teams.revoke, team, invitation.pk, by=other),
            partial(teams.rename, team, by=other, name="Mine"),
            partial(teams.leave, team, by=other),
        ]
        for act in acts:
            assert code_of(act, Forbidden) == "not_your_team"
    invitation.refresh_from_db()
    team.refresh_from_db()
    assert (invitation.revoked_at, team.name) == (None, "Team A")


def test_one_team_does_not_revoke_anothers_invitation(phase: Phase, team: Team) -> None:
    rival = make_user()
    other = make_team(rival, phase=phase)
    invitation = invite(team)
    teams.revoke(other, invitation.pk, by=rival)
    invitation.refresh_from_db()
    assert invitation.revoked_at is None


def test_a_baseline_stays_what_it_is(phase: Phase) -> None:
    user = make_user()
    baseline = make_team(user, phase=phase, is_baseline=True)
    assert code_of(lambda: teams.invite(baseline, by=user), Forbidden) == "not_your_team"
    assert code_of(lambda: teams.leave(baseline, by=user), Forbidden) == "not_your_team"
    mine = Invitation.objects.create(
        team=baseline, key_sha256="0" * 64, created_by=user, expires_at=now() + DAY
    )
    assert code_of(lambda: teams.accept(mine, by=make_user()), Conflict) == "team_is_baseline"
    away = invite(make_team(make_user(), phase=phase))
    assert code_of(lambda: teams.accept(away, by=user), Conflict) == "team_has_submissions"


# --- Moving -------------------------------------------------------------------------------------
def test_who_moves_leaves_an_empty_team_behind_which_is_removed(phase: Phase, team: Team) -> None:
    bob = make_user(username="bob")
    left = make_team(bob, phase=phase)
    teams.accept(invite(team), by=bob)
    assert members(team) == {"alice", "bob"}
    assert not Team.objects.filter(pk=left.pk).exists()
    assert Participant.objects.filter(user=bob).count() == 1


def test_who_moves_away_leaves_the_others_their_team(phase: Phase, team: Team) -> None:
    bob = make_user(username="bob")
    left = make_team(bob, make_user(username="carol"), phase=phase)
    teams.accept(invite(team), by=bob)
    assert members(left) == {"carol"}


def test_moving_keeps_what_was_accepted_and_asks_for_nothing_new(phase: Phase, team: Team) -> None:
    competition = team.competition
    competition.terms = "Be kind."
    competition.save()
    bob, accepted = make_user(), teams.hash_terms(competition)
    services.join(bob, competition, accepted_terms=accepted)
    competition.terms = "Be very kind."
    competition.save()
    teams.accept(invite(team), by=bob)
    assert Participant.objects.get(user=bob).terms_sha256 == accepted


@pytest.mark.parametrize("status", [Status.SCORED, Status.REJECTED, Status.CHECKING])
def test_nobody_moves_or_leaves_after_a_submission(
    phase: Phase, team: Team, status: Status
) -> None:
    bob = make_user()
    left = make_team(bob, make_user(), phase=phase)
    make_submission(phase=phase, team=left, status=status)
    invitation = invite(team)
    assert code_of(lambda: teams.accept(invitation, by=bob), Conflict) == "team_has_submissions"
    assert code_of(lambda: teams.leave(left, by=bob), Conflict) == "team_has_submissions"
    assert Participant.objects.get(user=bob).team == left
    invitation.refresh_from_db()
    assert invitation.accepted_at is None


def test_a_team_that_has_submitted_still_takes_newcomers(phase: Phase, team: Team) -> None:
    make_submission(phase=phase, team=team)
    teams.accept(invite(team), by=make_user())
    assert team.participants.count() == 2


def test_nobody_accepts_into_their_own_team(team: Team, alice: User) -> None:
    assert code_of(lambda: teams.accept(invite(team), by=alice), Conflict) == "already_in_team"


def test_a_team_of_another_competition_stands_in_nobodys_way(team: Team) -> None:
    bob = make_user()
    elsewhere = make_phase()
    make_submission(phase=elsewhere, team=make_team(bob, phase=elsewhere))
    teams.accept(invite(team), by=bob)
    assert Participant.objects.filter(user=bob).count() == 2


# --- Leaving and the date -----------------------------------------------------------------------
def test_the_last_who_leaves_takes_the_team_along(team: Team, alice: User) -> None:
    invite(team)
    teams.leave(team, by=alice)
    assert not Team.objects.exists()
    assert not Participant.objects.exists()


def test_others_stay_when_one_leaves(team: Team, alice: User) -> None:
    teams.accept(invite(team), by=make_user(username="bob"))
    teams.leave(team, by=alice)
    assert members(team) == {"bob"}


def test_from_its_date_on_no_team_changes(team: Team, alice: User) -> None:
    invitation = invite(team)
    Competition.objects.update(teams_freeze_at=now())
    team = Team.objects.select_related("competition").get(pk=team.pk)
    invitation = Invitation.objects.get(pk=invitation.pk)
    acts: list[Callable[[], object]] = [
        lambda: teams.accept(invitation, by=make_user()),
        lambda: teams.invite(team, by=alice),
        lambda: teams.leave(team, by=alice),
        lambda: teams.rename(team, by=alice, name="Late"),
    ]
    assert [code_of(act, Forbidden) for act in acts] == ["teams_frozen"] * 4
    assert members(team) == {"alice"}


def test_a_team_is_renamed_but_not_to_anothers_name(phase: Phase, team: Team, alice: User) -> None:
    make_team(phase=phase, name="Taken")
    assert (
        code_of(lambda: teams.rename(team, by=alice, name="taken"), Conflict) == "team_name_taken"
    )
    teams.rename(team, by=alice, name="TEAM a")  # its own name in another case
    team.refresh_from_db()
    assert team.name == "TEAM a"
