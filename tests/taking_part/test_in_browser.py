"""Joining, inviting and accepting as people do it, in a real browser."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from django.utils.timezone import now
from pytest_django.live_server_helper import LiveServer

from arena.accounts.models import User
from competitions import teams
from competitions.models import Announcement, Competition, Participant, Phase
from tests.factories import (
    make_competition,
    make_phase,
    make_scored_submission,
    make_team,
    make_user,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSWORD = "brush-and-canvas"
TOO_WIDE = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const wide = [...document.body.querySelectorAll("*")].filter(
    (each) => each.getBoundingClientRect().right + scrollX > root.clientWidth
  );
  return [root.scrollWidth, ...wide.map((each) => each.outerHTML.slice(0, 200))];
}"""


@pytest.fixture
def second_page(chromium: "Browser") -> Iterator["Page"]:
    """Open a second person's browser, which shares nothing with the first."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


@pytest.fixture
def phase(live_server: LiveServer) -> Phase:
    return make_phase(competition=make_competition(title="Ink", terms="Be **kind**."))


def log_in(page: "Page", username: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()


def test_one_joins_and_invites_and_another_accepts(
    page: "Page", second_page: "Page", live_server: LiveServer, phase: Phase
) -> None:
    make_user(username="alice", password=PASSWORD)
    make_user(username="bob", password=PASSWORD)
    page.goto(live_server.url + phase.competition.get_absolute_url())
    page.locator("main").get_by_role("link", name="Join").click()
    log_in(page, "alice")
    page.get_by_role("heading", name="Join Ink").wait_for()

    name = page.get_by_label("Name of the team")
    assert not name.is_visible()
    page.get_by_label("With a team that I name").check()
    name.fill("The painters")
    page.get_by_role("button", name="Join").click()
    page.get_by_text("Accept the terms to take part.").wait_for()
    assert name.input_value() == "The painters"
    page.get_by_label("I have read the terms").check()
    page.get_by_role("button", name="Join").click()
    page.get_by_role("heading", name="Next steps").wait_for()

    page.get_by_role("link", name="My team: The painters").click()
    page.get_by_role("button", name="Make an invitation").click()
    link = page.locator("#new-link").inner_text()
    assert page.get_by_role("button", name="Copy", exact=True).is_visible()

    second_page.goto(link)
    second_page.get_by_role("heading", name="Join team The painters").wait_for()
    second_page.locator("main").get_by_role("link", name="Log in").click()
    log_in(second_page, "bob")
    second_page.get_by_role("heading", name="Join team The painters").wait_for()
    page.reload()  # nobody is a member for having looked at the link
    assert page.locator(".people").first.inner_text().count("bob") == 0
    second_page.get_by_label("I have read the terms").check()
    second_page.get_by_role("button", name="Join").click()
    second_page.get_by_role("heading", name="The painters", exact=True).wait_for()

    page.goto(live_server.url + reverse("team", args=[phase.competition.slug]))
    members = page.locator(".people").first.inner_text()
    assert "alice" in members
    assert "bob" in members
    assert page.locator("#new-link").count() == 0
    assert Participant.objects.filter(team__name="The painters").count() == 2
    assert not Participant.objects.filter(terms_sha256="").exists()


def test_a_phase_is_chosen_on_the_time_line_by_keyboard(
    page: "Page", live_server: LiveServer, phase: Phase
) -> None:
    later = make_phase(
        competition=phase.competition,
        name="Later",
        opens_at=now() + timedelta(days=3),
        closes_at=None,
    )
    page.goto(live_server.url + phase.competition.get_absolute_url())
    row = page.get_by_role("navigation", name="Phases").get_by_role("link", name="Later")
    row.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Board of Later").wait_for()
    assert page.url.endswith(f"?phase={later.pk}")
    assert row.get_attribute("aria-current") == "page"


def make_everything(phase: Phase) -> User:
    """Fill the pages: long names, announcements, pictures, places, open invitations."""
    alice = make_user(username="alice", password=PASSWORD)
    team = make_team(alice, phase=phase, name="A team with a rather long name, indeed " * 2)
    competition = phase.competition
    competition.rules = competition.data_description = "## Rules\n\n1. One\n\n" + "x" * 90
    competition.max_team_size = 9
    competition.save()
    team.competition = competition
    for number in range(5):
        Announcement.objects.create(
            competition=competition, title=f"News {number}", body="Text", published_at=now()
        )
    later = now() + timedelta(days=9)
    make_phase(competition=competition, name="Later " * 12, opens_at=later, closes_at=None)
    make_scored_submission(phase=phase, team=team)
    teams.invite(team, by=alice, email=f"{'somebody.' * 6}@university.example.org")
    for title in ("Over", "Soon", "Bare"):
        make_competition(title=title)
    return alice


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_window_and_axe_finds_nothing(
    page: "Page", live_server: LiveServer, phase: Phase, width: int, scheme: str
) -> None:
    alice = make_everything(phase)
    slug = phase.competition.slug
    invitation = reverse(
        "invitation", args=[teams.invite(alice.participations.get().team, by=alice)[1]]
    )
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})

    def look_at(path: str) -> None:
        page.goto(live_server.url + path)
        check(page, path)

    for path in (reverse("home"), phase.get_absolute_url(), invitation):
        look_at(path)
    make_user(username="bob", password=PASSWORD)
    page.goto(f"{live_server.url}{reverse('account_login')}?next={reverse('join', args=[slug])}")
    log_in(page, "bob")
    page.get_by_role("button", name="Join").click()
    page.locator(".field-error").first.wait_for()
    check(page, "join with an error")
    look_at(invitation)
    page.context.clear_cookies()
    page.goto(f"{live_server.url}{reverse('account_login')}?next={reverse('team', args=[slug])}")
    log_in(page, "alice")
    page.get_by_role("button", name="Make an invitation").click()
    page.locator("#new-link").wait_for()
    check(page, "team")
    look_at(phase.get_absolute_url())
    Competition.objects.filter(slug=slug).update(teams_freeze_at=now())
    look_at(reverse("team", args=[slug]))


def check(page: "Page", what: str) -> None:
    page.wait_for_load_state()  # a style sheet may still be on its way
    assert page.evaluate(TOO_WIDE) == [], what
    found = Axe().run(page)
    assert found.violations_count == 0, f"{what}\n{found.generate_report()}"
