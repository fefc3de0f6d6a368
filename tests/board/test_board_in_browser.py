"""The board in a real browser: search as one types, the chart, news, small screens."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from competitions.models import Phase
from tests.factories import make_entry, make_phase, make_scored_submission

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

# Of the chart that the page's script made, as Chart.js keeps it.
CHART = "Chart.getChart(document.querySelector('[data-chart] canvas'))"


@pytest.fixture
def phase(live_server: LiveServer) -> Phase:
    return make_phase(board_pair_position=99)  # no such pair: rows without pictures


@pytest.fixture
def complaints(page: "Page") -> Iterator[list[str]]:
    heard: list[str] = []

    def listen(message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"}:
            heard.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


def open_board(page: "Page", live_server: LiveServer, phase: Phase) -> None:
    page.goto(live_server.url + reverse("board", args=[phase.pk]))


def points_drawn(page: "Page") -> int:
    return int(
        page.evaluate(
            f"{CHART}.data.datasets.filter(set => set.type === 'scatter')"
            ".reduce((sum, set) => sum + set.data.length, 0)"
        )
    )


def test_the_board_is_searched_as_one_types(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    for value, name in enumerate(("Ink", "Salt", "Inkling")):
        make_entry(phase, 1.0 + value, name=name)
    make_scored_submission(phase=phase, value=9.0)
    open_board(page, live_server, phase)
    search = page.get_by_label("Find a team")
    search.press_sequentially("ink")
    page.get_by_role("status").get_by_text("2 of 4 teams found").wait_for()
    assert page.locator(".board tbody tr").count() == 2
    assert page.evaluate("document.activeElement.id") == "board-search"
    assert page.url.endswith("?q=ink")
    page.reload()
    assert page.locator(".board tbody tr").count() == 2
    assert page.get_by_label("Find a team").input_value() == "ink"
    assert points_drawn(page) == 4


def test_a_point_of_the_chart_leads_to_its_submission(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    submission = make_scored_submission(phase=phase, value=2.0)
    make_entry(phase, 4.0, name="Base", is_baseline=True)
    open_board(page, live_server, phase)
    canvas = page.locator("[data-chart] canvas")
    canvas.scroll_into_view_if_needed()
    assert points_drawn(page) == 2
    page.get_by_label("baselines").uncheck()
    assert points_drawn(page) == 1
    place = page.evaluate(
        f"(() => {{ const point = {CHART}.getDatasetMeta(1).data[0];"
        " return {x: point.x, y: point.y} })()"
    )
    canvas.click(position=place)
    page.wait_for_url(f"**{submission.get_absolute_url()}")


def test_the_chart_takes_the_themes_colours(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    make_scored_submission(phase=phase)
    page.emulate_media(color_scheme="light")
    open_board(page, live_server, phase)
    colour = f"{CHART}.data.datasets[1].backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    for _ in range(100):  # the page's own policy keeps Playwright from waiting inside it
        if page.evaluate(colour) != light:
            break
        page.wait_for_timeout(100)
    assert page.evaluate(colour) != light


def test_news_reach_table_count_and_chart(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    make_scored_submission(phase=phase, value=2.0)
    open_board(page, live_server, phase)
    newcomer = make_scored_submission(phase=phase, value=1.0)
    page.locator(".board tbody tr").first.get_by_role(
        "link", name=newcomer.team.name
    ).first.wait_for()
    assert page.locator("#board-count").inner_text() == "2 teams"
    assert points_drawn(page) == 2
    assert page.locator(".front-list li").count() == 1


def test_an_empty_board_fills_by_itself(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    open_board(page, live_server, phase)
    make_scored_submission(phase=phase)
    page.locator("#board-count").get_by_text("1 team").wait_for()
    assert points_drawn(page) == 1


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_team_and_deciding_number_are_in_view_on_any_screen(
    page: "Page", live_server: LiveServer, complaints: list[str], width: int
) -> None:
    phase = make_phase()
    make_scored_submission(phase=phase)
    page.set_viewport_size({"width": width, "height": 740})
    open_board(page, live_server, phase)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for cell in (".board-team a", "td.is-ranking"):
        box = page.locator(f".board tbody {cell}").first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    page.locator(".table-scroll").evaluate("table => { table.scrollLeft = 2000 }")
    team = page.locator(".board tbody .board-team").bounding_box()
    assert team is not None
    assert team["x"] >= 0


def test_without_scripts_search_and_front_are_there(
    page: "Page", live_server: LiveServer, phase: Phase
) -> None:
    browser = page.context.browser
    assert browser is not None
    make_entry(phase, 1.0, name="Ink")
    make_entry(phase, 2.0, name="Salt")
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    open_board(plain, live_server, phase)
    plain.get_by_label("Find a team").fill("salt")
    plain.get_by_role("button", name="Search").click()
    assert plain.locator(".board tbody tr").count() == 1
    assert plain.locator("[data-chart]").is_hidden()
    assert plain.locator(".front-list li").count() == 1
    context.close()
