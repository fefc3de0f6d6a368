"""The pages on which people take part, asked without a browser."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import now

from arena.accounts.models import User
from competitions import services, teams
from competitions.models import (
    Announcement,
    Competition,
    Invitation,
    OutgoingMail,
    Participant,
    Phase,
    Team,
)
from tests.factories import (
    make_competition,
    make_phase,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def read(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, url
    return unescape(response.content.decode())


def logged_in(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or make_user())
    return client


def page(name: str, competition: Competition) -> str:
    return reverse(name, args=[competition.slug])


# --- The list -----------------------------------------------------------------------------------
def make_one_of_each() -> None:
    for title, opens, closes in (("Over", -9, -1), ("Now", -1, 12.5), ("Soon", 3.5, None)):
        make_phase(
            competition=make_competition(title=f"{title} it is"),
            opens_at=now() + opens * DAY,
            closes_at=closes and now() + closes * DAY,
        )
    make_competition(title="Bare it is")


def titles(text: str) -> list[str]:
    return re.findall(r"(\w+) it is", re.sub(r"<title>.*?</title>", "", text))


def test_open_competitions_come_first_and_each_state_can_be_had_alone(client: Client) -> None:
    make_one_of_each()
    home = reverse("home")
    listed = titles(read(client, home))
    assert (listed[0], set(listed[1:3]), listed[3:]) == ("Now", {"Soon", "Bare"}, ["Over"])
    assert titles(read(client, f"{home}?state=open")) == ["Now"]
    assert set(titles(read(client, f"{home}?state=upcoming"))) == {"Soon", "Bare"}
    assert titles(read(client, f"{home}?state=closed")) == ["Over"]
    assert len(titles(read(client, f"{home}?state=nonsense"))) == 4
    Competition.objects.filter(title="Over it is").update(published_at=None)
    assert "No competition of this kind" in read(client, f"{home}?state=closed")


def test_the_list_says_how_long_it_is_until_the_next_date(client: Client) -> None:
    make_one_of_each()
    text = read(client, reverse("home"))
    assert "closes in 12 days" in text
    assert "opens in 3 days" in text
    assert "dates to be announced" in text


def test_the_list_marks_what_one_takes_part_in(client: Client) -> None:
    mine, other = make_phase(), make_phase()
    alice = make_user()
    make_team(alice, phase=mine, name="The painters")
    make_team(make_user(), phase=other, name="Somebody else")
    assert "You take part" not in read(client, reverse("home"))
    text = read(logged_in(alice), reverse("home"))
    assert "You take part as The painters" in text
    assert text.count("You take part") == 1


def test_pages_of_a_filtered_list_stay_filtered(client: Client) -> None:
    phase = make_phase()
    for _ in range(12):
        make_phase(reference_set=phase.reference_set, recipe=phase.recipe)
    assert 'href="?state=open&page=2"' in read(client, f"{reverse('home')}?state=open")


# --- A competition ------------------------------------------------------------------------------
def test_each_visitor_is_offered_what_they_can_do() -> None:
    phase = make_phase()
    competition, member = phase.competition, make_user()
    make_team(member, phase=phase, name="Mine")
    join, team, submit = (
        page("join", competition),
        page("team", competition),
        reverse("submit", args=[phase.pk]),
    )
    for client, expected in (
        (Client(), [True, False, False]),
        (logged_in(), [True, False, False]),
        (logged_in(member), [False, True, True]),
    ):
        text = read(client, competition.get_absolute_url())
        assert [f'href="{url}"' in text for url in (join, team, submit)] == expected
    Phase.objects.update(closes_at=now())
    assert f'href="{join}"' not in read(Client(), competition.get_absolute_url())
    assert f'href="{submit}"' not in read(logged_in(member), competition.get_absolute_url())
    assert "This competition is over." in read(logged_in(), competition.get_absolute_url())


def test_next_steps_are_shown_until_the_first_submission() -> None:
    phase = make_phase()
    member = make_user()
    team = make_team(member, phase=phase)
    client, url = logged_in(member), phase.competition.get_absolute_url()
    assert "Next steps" in read(client, url)
    make_submission(phase=phase, team=team)
    assert "Next steps" not in read(client, url)


def test_a_draft_says_that_only_its_organizers_see_it(client: Client) -> None:
    organizer = make_user()
    draft = make_competition(published_at=None)
    draft.organizers.add(organizer)
    addresses = [draft.get_absolute_url(), page("join", draft), page("team", draft)]
    assert [client.get(url).status_code for url in addresses] == [404, 302, 302]
    stranger = logged_in()
    assert [stranger.get(url).status_code for url in addresses] == [404] * 3
    assert "only its organizers see it" in read(logged_in(organizer), addresses[0])
    Competition.objects.update(published_at=now() + DAY)
    assert client.get(addresses[0]).status_code == 404
    assert "only its organizers see it" in read(logged_in(organizer), addresses[0])


def test_rules_data_and_announcements_are_markdown_that_cannot_bring_scripts(
    client: Client,
) -> None:
    hostile = "**bold** <script>alert(1)</script> [x](javascript:alert(1))"
    competition = make_competition(rules=hostile, data_description=hostile)
    make_phase(competition=competition)
    Announcement.objects.create(
        competition=competition, title="<b>News</b>", body=hostile, published_at=now()
    )
    text = client.get(competition.get_absolute_url()).content.decode()
    assert text.count("<strong>bold</strong>") == 3
    assert "<script>alert" not in text
    assert 'href="javascript' not in text
    assert "<b>News" not in text


def test_announcements_appear_once_they_are_published(client: Client) -> None:
    competition = make_competition()
    for title, at in (("Old news", now() - DAY), ("A draft", None), ("Too early", now() + DAY)):
        Announcement.objects.create(
            competition=competition, title=title, body="Text", published_at=at
        )
    text = read(client, competition.get_absolute_url())
    assert "Old news" in text
    assert "A draft" not in text
    assert "Too early" not in text


def test_a_competition_needs_the_same_queries_whatever_it_holds(
    django_assert_num_queries: object, client: Client
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    phase = make_phase()
    member = make_user()
    team = make_team(member, phase=phase)
    teams.invite(team, by=member)
    client.force_login(member)
    urls = [phase.get_absolute_url(), page("team", phase.competition)]

    def count() -> list[int]:
        counts = []
        for url in urls:
            with CaptureQueriesContext(connection) as queries:
                read(client, url)
            counts.append(len(queries))
        return counts

    few = count()
    for number in range(3):
        make_phase(
            competition=phase.competition, reference_set=phase.reference_set, recipe=phase.recipe
        )
        Announcement.objects.create(
            competition=phase.competition, title=str(number), body="x", published_at=now()
        )
        teams.accept(teams.invite(team, by=member)[0], by=make_user())
    Competition.objects.update(max_team_size=9)
    team.refresh_from_db()
    for _ in range(3):
        teams.invite(team, by=member)
    assert count() == few


# --- Joining ------------------------------------------------------------------------------------
def test_joining_asks_to_log_in_and_leads_back(client: Client) -> None:
    url = page("join", make_competition())
    for response in (client.get(url), client.post(url)):
        assert response.status_code == 302
        assert response["Location"] == f"{reverse('account_login')}?next={url}"
    assert not Participant.objects.exists()


def test_joining_alone_needs_the_terms_accepted() -> None:
    competition = make_competition(terms="Be **kind**.")
    user = make_user(username="alice")
    client, url = logged_in(user), page("join", competition)
    shown = read(client, url)
    assert "Be <strong>kind</strong>." in shown
    wording = teams.hash_terms(competition)
    assert wording in shown
    refused = client.post(url, {"entry": "alone", "terms_sha256": wording})
    assert "Accept the terms to take part." in refused.content.decode()
    assert not Participant.objects.exists()
    given = {"entry": "alone", "terms_sha256": wording, "accept_terms": "on"}
    assert client.post(url, given)["Location"] == competition.get_absolute_url()
    member = Participant.objects.get()
    assert (member.user, member.team.name, member.terms_sha256) == (user, "alice", wording)


def test_terms_reworded_meanwhile_are_shown_anew_and_not_accepted() -> None:
    competition = make_competition(terms="Be kind.")
    read_wording = teams.hash_terms(competition)
    competition.terms = "Be very kind."
    competition.save()
    given = {"entry": "alone", "terms_sha256": read_wording, "accept_terms": "on"}
    text = unescape(logged_in().post(page("join", competition), given).content.decode())
    assert "The terms were changed while you read them." in text
    assert teams.hash_terms(competition) in text
    assert read_wording not in text
    assert not re.search(r'name="accept_terms"[^>]*checked', text)
    assert not Participant.objects.exists()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"entry": "team", "team_name": ""}, "Give the team a name."),
        ({"entry": "team", "team_name": "taken"}, "Another team has this name"),
        ({"entry": "team", "team_name": "x" * 81}, "at most 80 characters"),
        ({"entry": "team", "team_name": "\u200b"}, "Give the team a name."),
        ({"entry": "nonsense"}, "Select a valid choice"),
        ({}, "This field is required"),
    ],
)
def test_what_is_wrong_with_a_name_is_said_beside_it(given: dict[str, str], problem: str) -> None:
    phase = make_phase()
    make_team(phase=phase, name="Taken")
    response = logged_in().post(page("join", phase.competition), given)
    text = unescape(response.content.decode())
    beside = re.findall(r'<p class="field-error"[^>]*>(.*?)</p>', text)
    assert response.status_code == 200
    assert [problem in each for each in beside] == [True]
    assert not Participant.objects.exists()


def test_a_competition_that_is_over_says_so_instead_of_a_form() -> None:
    phase = make_phase(opens_at=now() - 2 * DAY, closes_at=now() - DAY)
    client, url = logged_in(), page("join", phase.competition)
    for text in (read(client, url), client.post(url, {"entry": "alone"}).content.decode()):
        assert "This competition is over." in text
        assert 'name="entry"' not in text
    assert not Participant.objects.exists()


def test_who_has_joined_is_led_to_the_competition() -> None:
    phase = make_phase()
    member = make_user()
    make_team(member, phase=phase)
    response = logged_in(member).get(page("join", phase.competition))
    assert response["Location"] == phase.competition.get_absolute_url()


# --- A team -------------------------------------------------------------------------------------
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


# --- An invitation ------------------------------------------------------------------------------
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


# --- Words --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (DAY * 12.9, "closes in 12 days"),
        (DAY * 2.1, "closes in 2 days"),
        (DAY * 1.5, "closes in 36 hours"),
        (timedelta(hours=2, minutes=59), "closes in 2 hours"),
        (timedelta(minutes=119.5), "closes in 119 minutes"),
        (timedelta(seconds=61), "closes in 1 minute"),
        (timedelta(seconds=30), "closes any moment now"),
    ],
)
def test_nobody_is_told_more_time_than_there_is(ahead: timedelta, words: str) -> None:
    from competitions.showcase import schedule
    from competitions.templatetags.deadlines import deadline

    phase = Phase(opens_at=now() - DAY, closes_at=now() + ahead + timedelta(seconds=1))
    with translation.override("en"):
        assert deadline(schedule([phase], at=now())) == words
