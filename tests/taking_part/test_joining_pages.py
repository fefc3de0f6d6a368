"""The page on which one joins, asked without a browser."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from competitions import teams
from competitions.models import (
    Participant,
)
from tests.factories import (
    make_competition,
    make_phase,
    make_team,
    make_user,
)
from tests.taking_part.pages import DAY, logged_in, page, read

pytestmark = pytest.mark.django_db


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
