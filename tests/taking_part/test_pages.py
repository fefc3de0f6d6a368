"""The list of competitions and the page of one, asked without a browser."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import now

from competitions import teams
from competitions.models import (
    Announcement,
    Competition,
    Phase,
)
from tests.factories import (
    make_competition,
    make_phase,
    make_submission,
    make_team,
    make_user,
)
from tests.taking_part.pages import DAY, logged_in, page, read

pytestmark = pytest.mark.django_db


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
