"""The pages of a team and of an invitation to it, asked without a browser."""

import re
from html import unescape

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from arena.accounts.models import User
from competitions import services, teams
from competitions.models import (
    Competition,
    Invitation,
    OutgoingMail,
    Participant,
    Phase,
    Team,
)
from tests.factories import (
    make_phase,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)
from tests.taking_part.pages import logged_in, page, read

pytestmark = pytest.mark.django_db


@pytest.fixture
def phase() -> Phase:
    return make_phase()


@pytest.fixture
def alice() -> User:
    return make_user(username="alice")


@pytest.fixture
def team(phase: Phase, alice: User) -> Team:
    return make_team(alice, phase=phase, name="Team A")


def test_a_team_page_is_for_its_members(phase: Phase, team: Team, alice: User) -> None:
    make_team(make_user(username="rival"), phase=phase, name="Team B")
    organizer = make_user()
    phase.competition.organizers.add(organizer)
    url = page("team", phase.competition)
    text = read(logged_in(alice), url)
    assert "Team A" in text
    assert "Team B" not in text
    assert "rival" not in text
    assert Client().get(url)["Location"] == f"{reverse('account_login')}?next={url}"
    for user in (make_user(), organizer):
        assert logged_in(user).get(url)["Location"] == page("join", phase.competition)


def test_the_page_tells_a_teams_places_as_the_boards_do(
    phase: Phase, team: Team, alice: User
) -> None:
    other = make_phase(competition=phase.competition, name="Upside", ranking_direction="higher")
    for each, values in ((phase, (1.0, 2.0, 2.0)), (other, (1.0, 5.0))):
        for value in values:
            make_scored_submission(phase=each, value=value)
    make_scored_submission(phase=phase, team=team, value=2.0)
    make_scored_submission(phase=other, team=team, value=4.0)
    text = " ".join(read(logged_in(alice), page("team", phase.competition)).split())
    assert re.findall(r"Place \d of \d", text) == ["Place 2 of 4", "Place 2 of 3"]


def post(client: Client, team: Team, act: str, **given: object) -> str:
    url = page("team", team.competition)
    response = client.post(url, {"act": act, **given}, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_a_link_is_shown_once_and_works(team: Team, alice: User) -> None:
    client = logged_in(alice)
    text = post(client, team, "invite", email="")
    (link,) = re.findall(r'<code id="new-link">(.*?)</code>', text)
    assert link.startswith("http://testserver/invitations/")
    assert link not in read(client, page("team", team.competition))
    bob = make_user()
    response = logged_in(bob).post(link)
    assert response["Location"] == page("team", team.competition)
    assert Participant.objects.get(user=bob).team == team
    assert not OutgoingMail.objects.exists()


def test_an_invitation_to_an_address_is_mailed_with_its_link(team: Team, alice: User) -> None:
    text = post(logged_in(alice), team, "invite", email="Friend@Example.org")
    assert "We send it to Friend@Example.org" in text
    mail = OutgoingMail.objects.get()
    assert mail.address == "Friend@Example.org"
    (key,) = re.findall(r"/invitations/([\w-]+)/", mail.text)
    assert Invitation.objects.get().key_sha256 == teams.hash_key(key)


def test_what_is_no_address_is_refused_beside_the_field(team: Team, alice: User) -> None:
    text = post(logged_in(alice), team, "invite", email="friend@")
    assert re.search(r'class="field-error"[^>]*>Enter a valid email address', text)
    assert not Invitation.objects.exists()
    assert not OutgoingMail.objects.exists()


def test_an_open_invitation_is_revoked_by_its_button(team: Team, alice: User) -> None:
    client = logged_in(alice)
    invitation, key = teams.invite(team, by=alice)
    post(client, team, "revoke", invitation=invitation.pk)
    for nonsense in ("nonsense", "9" * 30, "9" * 5000):
        post(client, team, "revoke", invitation=nonsense)
    bob = logged_in()
    url = reverse("invitation", args=[key])
    assert "The team has taken this invitation back." in read(bob, url)
    assert "taken this invitation back" in unescape(bob.post(url).content.decode())
    assert team.participants.count() == 1


def test_a_rename_that_fails_says_why_and_keeps_the_name(
    phase: Phase, team: Team, alice: User
) -> None:
    make_team(phase=phase, name="Taken")
    client = logged_in(alice)
    text = post(client, team, "rename", name="taken")
    assert re.search(r'class="field-error"[^>]*>Another team has this name', text)
    assert "<h1>Team A</h1>" in text
    assert "<h1>Artists</h1>" in post(client, team, "rename", name="Artists")


def test_leaving_is_offered_until_the_first_submission(
    phase: Phase, team: Team, alice: User
) -> None:
    client = logged_in(alice)
    submission = make_submission(phase=phase, team=team)
    url = page("team", phase.competition)
    assert 'value="leave"' not in read(client, url)
    assert "its members stay in it" in post(client, team, "leave")
    assert team.participants.exists()
    submission.delete()
    assert 'value="leave"' in read(client, url)
    response = client.post(url, {"act": "leave"})
    assert response["Location"] == phase.competition.get_absolute_url()
    assert [str(each) for each in get_messages(response.wsgi_request)]
    assert not Team.objects.exists()


def test_an_unknown_act_changes_nothing(team: Team, alice: User) -> None:
    assert "Team A" in post(logged_in(alice), team, "destroy")
    assert "Team A" in post(logged_in(alice), team, "")


@pytest.fixture
def link(team: Team, alice: User) -> str:
    return reverse("invitation", args=[teams.invite(team, by=alice)[1]])


def test_looking_at_an_invitation_makes_nobody_a_member(team: Team, link: str) -> None:
    for client in (Client(), logged_in()):
        text = read(client, link)
        assert "Join team Team A" in text
        assert "alice invites you" in text
    assert team.participants.count() == 1


def test_whoever_is_not_logged_in_is_sent_there_and_back(team: Team, link: str) -> None:
    text = read(Client(), link)
    for name in ("account_login", "account_signup"):
        assert f"{reverse(name)}?next={link}" in text
    assert Client().post(link)["Location"] == f"{reverse('account_login')}?next={link}"
    assert team.participants.count() == 1


def test_accepting_needs_the_terms_from_newcomers_only(phase: Phase, team: Team, link: str) -> None:
    Competition.objects.update(terms="Be kind.")
    competition = Competition.objects.get(pk=phase.competition_id)
    wording = teams.hash_terms(competition)
    bob, carol = make_user(), make_user()
    client = logged_in(bob)
    assert "Accept the terms" in unescape(client.post(link).content.decode())
    assert team.participants.count() == 1
    client.post(link, {"terms_sha256": wording, "accept_terms": "on"})
    assert Participant.objects.get(user=bob).terms_sha256 == wording
    services.join(carol, competition, accepted_terms=wording)
    again = reverse("invitation", args=[teams.invite(team, by=bob)[1]])
    text = read(logged_in(carol), again)
    assert "If you accept, you leave it" in text
    assert "accept_terms" not in text
    logged_in(carol).post(again)
    assert Participant.objects.get(user=carol).team == team


def test_an_invitation_that_is_no_use_says_why_and_has_no_button(
    phase: Phase, team: Team, alice: User, link: str
) -> None:
    bound = make_user()
    make_submission(phase=phase, team=make_team(bound, phase=phase, name="Bound"))
    for user, reason in ((bound, "Your team Bound has submitted"), (alice, "in this team already")):
        text = read(logged_in(user), link)
        assert reason in text
        assert '<form method="post" class="form-card"' not in text
    Competition.objects.update(max_team_size=1)
    for client in (Client(), logged_in()):
        assert "The team is full" in read(client, link)
    Invitation.objects.update(expires_at=now())
    assert "too old" in read(Client(), link)


def test_an_invitation_to_a_draft_gives_nothing_away(team: Team, link: str) -> None:
    Competition.objects.update(published_at=None)
    assert logged_in().get(link).status_code == Client().get(link).status_code == 404
    assert logged_in().post(link).status_code == 404
    assert Client().get(reverse("invitation", args=["x" * 43])).status_code == 404


def test_keys_are_neither_kept_nor_indexed(team: Team, alice: User, link: str) -> None:
    response = Client().get(link)
    assert "no-store" in response["Cache-Control"]
    assert response["X-Robots-Tag"] == "noindex"
    made = logged_in(alice).post(page("team", team.competition), {"act": "invite", "email": ""})
    assert "no-store" in made["Cache-Control"]
