"""The pages in a real browser, under the site's own policy on scripts and styles."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from django.utils.timezone import now
from pytest_django.live_server_helper import LiveServer

from arena.accounts.models import User
from competitions.models import Phase
from evaluation.models import EvaluationRun, Outcome, Score, Stage
from evaluation.row_lease import next_expiry
from submissions.models import Submission
from submissions.states import Status
from tests.factories import (
    make_phase,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

PASSWORD = "brush-and-canvas"
RECIPE_METRICS = ("content", "style", "total", "fid_pytorch")


@pytest.fixture
def complaints(page: "Page") -> Iterator[list[str]]:
    """Collect what the browser objects to, a breach of the policy among it; none is expected."""
    heard: list[str] = []

    def listen(message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"}:
            heard.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


@pytest.fixture
def member(live_server: LiveServer) -> User:
    return make_user(username="alice", password=PASSWORD)


@pytest.fixture
def phase(live_server: LiveServer) -> Phase:
    return make_phase()


def log_in(page: "Page", live_server: LiveServer) -> None:
    page.goto(live_server.url + reverse("account_login"))
    page.get_by_label("Username or e-mail address").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.locator("summary", has_text="alice").wait_for()


def queued(phase: Phase, member: User) -> Submission:
    team = make_team(member, phase=phase)
    return make_submission(phase=phase, team=team, status=Status.QUEUED)


def score(submission: Submission) -> None:
    """End a running submission as the worker does."""
    run = EvaluationRun.objects.create(
        submission=submission,
        attempt=submission.attempt,
        stage=Stage.SCORE,
        outcome=Outcome.PASSED,
        worker="test",
        finished_at=now(),
    )
    for metric in RECIPE_METRICS:
        Score.objects.create(run=run, metric=metric, value=0.0123456, low=0.01, high=0.02)
    assert submission.move(Status.SCORED, finished_at=now())


def test_a_page_follows_a_submission_from_the_queue_to_its_scores(
    page: "Page", live_server: LiveServer, phase: Phase, member: User, complaints: list[str]
) -> None:
    submission = queued(phase, member)
    log_in(page, live_server)
    page.goto(live_server.url + submission.get_absolute_url())
    state = page.locator("#state")
    assert "Queued" in state.inner_text()
    assert "It is next." in state.inner_text()

    assert submission.claim(Status.RUNNING, lease_expires_at=next_expiry())
    assert submission.renew(
        lease_expires_at=next_expiry(), step="generating", progress_done=3, progress_of=24
    )
    state.get_by_text("Running").wait_for()
    assert "3 of 24" in state.inner_text()
    assert page.locator("#announcement").inner_text() == "Running"
    bar = state.get_by_role("progressbar")
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("3", "24")

    score(submission)
    page.get_by_role("heading", name="Scores").wait_for()
    assert "Scored" in state.inner_text()
    assert "0.01235" in page.locator(".score-table").inner_text()
    assert state.get_attribute("hx-get") is None
    assert page.get_by_text("Cancel…").count() == 0


def test_polling_stops_once_the_submission_has_ended(
    page: "Page", live_server: LiveServer, phase: Phase, member: User, complaints: list[str]
) -> None:
    submission = queued(phase, member)
    log_in(page, live_server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(live_server.url + submission.get_absolute_url())
    assert submission.move(Status.CANCELLED, finished_at=now())
    page.locator("#state").get_by_text("Cancelled", exact=True).wait_for()
    polls = [url for url in asked if "/live/" in url]
    page.wait_for_timeout(4500)
    assert [url for url in asked if "/live/" in url] == polls != []


def test_cancelling_takes_a_second_click_that_no_poll_sweeps_away(
    page: "Page", live_server: LiveServer, phase: Phase, member: User, complaints: list[str]
) -> None:
    submission = queued(phase, member)
    log_in(page, live_server)
    page.goto(live_server.url + submission.get_absolute_url())
    page.get_by_text("Cancel…").click()
    with page.expect_response(lambda response: "/live/" in response.url):
        pass
    page.get_by_text("It has not started, so it costs you nothing.").wait_for()
    page.get_by_role("button", name="Cancel this submission").click()
    page.get_by_text("The submission was cancelled.").wait_for()
    submission.refresh_from_db()
    assert submission.status == Status.CANCELLED


def test_logging_in_leads_back_and_a_wrong_password_says_so(
    page: "Page", live_server: LiveServer, member: User, complaints: list[str]
) -> None:
    page.goto(live_server.url)
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Username or e-mail address").fill("alice")
    page.get_by_label("Password").fill("not it")
    page.locator("main").get_by_role("button", name="Log in").click()
    page.get_by_role("alert").get_by_text("not correct").wait_for()
    log_in(page, live_server)
    page.locator("summary", has_text="alice").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in").wait_for()


def test_a_board_takes_up_a_new_result_by_itself(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    make_scored_submission(phase=phase, value=2.0)
    page.goto(live_server.url + phase.get_absolute_url())
    assert page.locator(".board tbody tr").count() == 1
    newcomer = make_scored_submission(phase=phase, value=1.0)
    first = page.locator(".board tbody tr").first
    first.get_by_role("link", name=newcomer.team.name, exact=True).wait_for()
    assert first.locator(".rank").inner_text() == "1"


def test_every_picture_of_a_gallery_arrives(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    submission = make_scored_submission(phase=phase)
    page.goto(live_server.url + submission.get_absolute_url())
    pictures = page.locator(".gallery img")
    assert pictures.count() == 10  # two to compare and three to enlarge, of two pairs
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("async image => { await image.decode() }")
        assert picture.evaluate("image => image.naturalWidth") == 32


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_no_page_is_wider_than_the_window(
    page: "Page",
    live_server: LiveServer,
    phase: Phase,
    member: User,
    complaints: list[str],
    width: int,
    scheme: str,
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    team = make_team(member, phase=phase, name="A team with a rather long name " * 2)
    scored = make_scored_submission(phase=phase, team=team, file_name="x" * 96 + ".bin")
    EvaluationRun.objects.filter(submission=scored).update(log="y" * 500, steps={"scoring": 9.1})
    others = [
        make_submission(phase=phase, team=team, status=status, file_name="x" * 100)
        for status in (Status.CHECKING, Status.QUEUED, Status.RUNNING, Status.FAILED)
    ]
    log_in(page, live_server)
    addresses = [
        reverse("home"),
        phase.get_absolute_url(),
        *(each.get_absolute_url() for each in [scored, *others]),
    ]
    for address in addresses:
        page.goto(live_server.url + address)
        overflow = page.locator("html").evaluate("page => page.scrollWidth - page.clientWidth")
        assert overflow == 0, address
