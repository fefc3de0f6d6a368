"""The board as a page: whose row is marked, what a search finds, who sees pictures."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from competitions.models import LeaderboardEntry, Phase
from submissions.models import Submission
from tests.factories import (
    make_entry,
    make_phase,
    make_recipe,
    make_scored_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db


def ask(client: Client, phase: Phase, **query: str | int) -> Any:
    response = client.get(reverse("board", args=[phase.pk]), query)
    assert response.status_code == 200
    return response


def names(response: Any) -> list[str]:
    return [row.entry.team.name for row in response.context["board"].rows]


def test_ones_own_row_is_marked_and_a_link_leads_to_its_page(client: Client) -> None:
    phase = make_phase()
    member = make_user()
    for value in range(59):
        make_entry(phase, float(value))
    own = make_scored_submission(
        phase=phase, team=make_team(member, phase=phase, name="Ours"), value=58.5
    )
    client.force_login(member)
    first = ask(client, phase)
    text = first.content.decode()
    assert "Ours" not in names(first)
    assert "Your team: rank 60, on page 2" in text
    link = f"{reverse('board', args=[phase.pk])}?page=2#team-{own.team_id}"
    assert link in text
    second = ask(client, phase, page=2)
    marked = [row for row in second.context["board"].rows if row.is_own]
    assert [row.entry.team.name for row in marked] == ["Ours"]
    assert f'id="team-{own.team_id}"' in second.content.decode()
    assert second.content.decode().count("is-own") == 1


def test_nobodys_row_is_marked_for_visitors_and_strangers(client: Client) -> None:
    phase = make_phase()
    make_entry(phase, 1.0)
    for user in (None, make_user()):
        if user:
            client.force_login(user)
        text = ask(client, phase).content.decode()
        assert "is-own" not in text
        assert "Your team" not in text


def test_a_team_that_is_not_on_the_board_is_told_so(client: Client) -> None:
    phase, member = make_phase(), make_user()
    make_entry(phase, 1.0)
    make_team(member, phase=phase)
    client.force_login(member)
    assert "no scored submission in this phase yet" in ask(client, phase).content.decode()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("ink", ["Ink & Salt", "Pinky"]),
        ("  INK ", ["Ink & Salt", "Pinky"]),
        ("ｉｎｋ &", ["Ink & Salt"]),  # noqa: RUF001 - full-width on purpose
        ("墨", ["墨与像素"]),
        ("nobody", []),
        ("", ["Ink & Salt", "墨与像素", "Pinky", "Other"]),
    ],
)
def test_a_search_finds_teams_by_any_part_of_their_name(
    client: Client, wanted: str, found: list[str]
) -> None:
    phase = make_phase()
    for value, name in enumerate(("Ink & Salt", "墨与像素", "Pinky", "Other")):
        make_entry(phase, float(value), name=name)
    assert names(ask(client, phase, q=wanted)) == found


def test_what_a_search_finds_keeps_its_rank_and_its_pages_keep_the_search(client: Client) -> None:
    phase = make_phase()
    make_entry(phase, 0.0, name="First")
    for value in range(51):
        make_entry(phase, 1.0 + value, name=f"Late & {value}")
    response = ask(client, phase, q="late &")
    assert response.context["board"].rows[0].rank == 2
    assert "?page=2&amp;q=late%20%26#board" in response.content.decode()
    assert "51 of 52 teams found" in response.content.decode()
    assert names(ask(client, phase, q="late &", page=2)) == ["Late & 50"]


def test_a_search_that_finds_nobody_says_so_and_cannot_bring_markup(client: Client) -> None:
    phase = make_phase()
    make_entry(phase, 1.0)
    text = ask(client, phase, q='"><script>alert(1)</script>').content.decode()
    assert "No team of this name" in text
    assert "<script>alert" not in text


def test_a_page_that_asks_for_news_gets_the_part_that_changes(client: Client) -> None:
    phase = make_phase()
    entry = make_entry(phase, 1.0)
    address = reverse("board", args=[phase.pk])
    news = client.get(address, headers={"hx-request": "true"})
    assert b"<html" not in news.content
    assert entry.team.name in news.content.decode()
    assert "HX-Request" in news["Vary"]
    assert b"<html" in client.get(address).content


def test_an_empty_board_is_loaded_again_once_somebody_is_on_it(client: Client) -> None:
    phase = make_phase()
    address = reverse("board", args=[phase.pk])
    empty = ask(client, phase)
    assert "Nobody is on the board yet" in empty.content.decode()
    asked = {"bare": "board", "seen": empty.context["board"].version}
    assert client.get(address, asked, headers={"hx-request": "true"}).status_code == 204
    make_entry(phase, 1.0)
    assert client.get(address, asked, headers={"hx-request": "true"})["HX-Refresh"] == "true"


def test_a_competitions_page_shows_the_first_ten_and_the_way_to_all(client: Client) -> None:
    phase = make_phase()
    for value in range(11):
        make_entry(phase, float(value))
    response = client.get(phase.get_absolute_url())
    assert len(response.context["board"].rows) == 10
    text = response.content.decode()
    assert "The whole board: 11 teams" in text
    assert f'href="{reverse("board", args=[phase.pk])}"' in text


# --- Pictures ------------------------------------------------------------------------------------


def picture_of(submission: Submission, position: int) -> str:
    return f"/submissions/{submission.pk}/outputs/{position}."


def test_each_row_shows_the_picture_of_the_phases_pair(client: Client) -> None:
    phase = make_phase(board_pair_position=1)
    entered = [make_scored_submission(phase=phase, value=value) for value in (1.0, 2.0)]
    pair = phase.reference_set.pairs.get(position=1)
    for address in (reverse("board", args=[phase.pk]), phase.get_absolute_url()):
        text = client.get(address).content.decode()
        assert f"/references/{pair.content_id}." in text
        assert f"/references/{pair.style_id}." in text
        table = text[text.index('id="board-table"') : text.index("</table>")]
        for submission in entered:
            assert picture_of(submission, 1) in table
            assert picture_of(submission, 0) not in table


def test_a_pair_that_is_not_there_leaves_the_pictures_out(client: Client) -> None:
    phase = make_phase(board_pair_position=99)
    submission = make_scored_submission(phase=phase)
    text = ask(client, phase).content.decode()
    assert picture_of(submission, 99) not in text
    assert submission.team.name in text


def test_pictures_of_hidden_pairs_are_for_organizers(client: Client) -> None:
    phase = make_phase(pairs_public=False)
    organizer, member = make_user(), make_user()
    phase.competition.organizers.add(organizer)
    submission = make_scored_submission(phase=phase, team=make_team(member, phase=phase))
    for user, expected in ((None, False), (make_user(), False), (member, False), (organizer, True)):
        client.logout()
        if user:
            client.force_login(user)
        for news in ({}, {"hx-request": "true"}):
            address = reverse("board", args=[phase.pk])
            text = client.get(address, headers=news).content.decode()
            assert (picture_of(submission, 0) in text) == expected
            assert ("/references/" in text) == (expected and not news)


# --- Content against style -----------------------------------------------------------------------


def test_the_chart_holds_every_team_whatever_page_or_search_is_shown(client: Client) -> None:
    phase = make_phase()
    member = make_user()
    for value in range(51):
        make_entry(phase, 1.0 + value)
    make_entry(phase, 60.0, name="Base", is_baseline=True)
    make_scored_submission(
        phase=phase, team=make_team(member, phase=phase, name="Ours"), value=0.25
    )
    client.force_login(member)
    for query in ({}, {"page": 2}, {"q": "nobody"}):
        data = ask(client, phase, **query).context["chart"].data
        assert len(data["points"]) == 53
        kinds = {point["team"]: point["kind"] for point in data["points"]}
        assert kinds["Ours"] == "own"
        assert kinds["Base"] == "baseline"
        (best,) = (data["points"][index] for index in data["front"])
        assert (best["team"], best["x"], best["y"]) == ("Ours", 0.25, 0.25)
        assert best["text"] == "Content 0.2500, Style 0.2500, rank 1"


def test_the_front_is_listed_for_those_who_see_no_chart(client: Client) -> None:
    phase = make_phase()
    best = make_entry(phase, 1.0)
    make_entry(phase, 2.0)
    text = ask(client, phase).content.decode()
    front = text[text.index('id="board-front"') : text.index('id="board-points"')]
    assert front.count("<li>") == 1
    assert reverse("submission", args=[best.submission_id]) in front


def test_a_name_in_the_charts_data_cannot_end_its_script(client: Client) -> None:
    phase = make_phase()
    make_entry(phase, 1.0, name="</script><script>alert(1)</script>")
    text = ask(client, phase).content.decode()
    assert "<script>alert" not in text


@pytest.mark.parametrize(
    ("metrics", "axes"),
    [
        (["total", "content"], None),
        (["total", "content", "style"], ("content", "style")),
        (["content_relative", "style_relative"], ("content_relative", "style_relative")),
    ],
)
def test_the_axes_are_what_the_recipe_measures(
    client: Client, metrics: list[str], axes: tuple[str, str] | None
) -> None:
    phase = make_phase(recipe=make_recipe(metrics=metrics), ranking_metric=metrics[0])
    make_scored_submission(phase=phase)
    chart = ask(client, phase).context["chart"]
    found = chart and (chart.x.metric.key, chart.y.metric.key)
    assert found == axes


def test_a_team_without_both_values_is_on_the_board_and_not_in_the_chart(client: Client) -> None:
    phase = make_phase()
    make_entry(phase, 1.0)
    lone = make_entry(phase, 2.0)
    LeaderboardEntry.objects.filter(pk=lone.pk).update(scores={"total": {"value": 2.0}})
    response = ask(client, phase)
    assert len(response.context["board"].rows) == 2
    assert len(response.context["chart"].points) == 1


# --- Cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_member", [False, True])
def test_a_board_takes_as_many_queries_for_50_rows_as_for_1(
    client: Client, is_member: bool
) -> None:
    phase = make_phase()
    member = make_user()
    own = make_team(member, phase=phase)
    make_scored_submission(phase=phase, team=own)
    if is_member:
        client.force_login(member)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            ask(client, phase)
        return len(queries)

    one = count()
    for value in range(49):
        make_entry(phase, 2.0 + value)
    assert count() == one
