"""What is asked of every page: people with other eyes, hands, screens and browsers can use it.

The table of pages is in ``pages.py``. A page is loaded once in each language; theme and width
change while it is open, and only colours are looked at again for the other theme.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from tests.web.pages import PAGES, PageCase, admin_pages
from tests.web.scene import make_scene
from tests.web.visiting import Scheme, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (360, 768, 1280)
EVERYTHING: dict[str, Any] = {"resultTypes": ["violations"]}
COLOURS = EVERYTHING | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
# Each language and each theme is looked at in full once, and the other theme for its colours.
ROUNDS: tuple[tuple[str, Scheme, Scheme], ...] = (
    ("en", "light", "dark"),
    ("zh-hans", "dark", "light"),
)
# Colours fade into each other, and what follows the window's width does so a moment later.
SETTLED = """async () => {
    await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const ending = document.getAnimations()
        .filter(each => each.effect.getComputedTiming().endTime !== Infinity);
    await Promise.all(ending.map(each => each.finished.catch(() => null)));
}"""
CASES = [pytest.param(case, id=case.name) for case in (*PAGES, *admin_pages())]


# Asks for a database of tests to be made; what is done around each test is replaced right below.
pytestmark = pytest.mark.django_db


@pytest.fixture
def _django_db_helper(visitor: Visitor) -> None:
    """Open no transaction around a test: the site they share is cleared away after the last."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(autouse=True)
def _own_media() -> None:
    """Leave the pictures of the one site that all tests here share where they are."""


@pytest.fixture(scope="module")
def visitor(
    chromium: "Browser", media: Path, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Visitor]:
    """Run one site for the whole module: making it takes longer than looking at a page."""
    changed = override_settings(
        MEDIA_ROOT=media,
        ROOT_URLCONF="tests.web.error_urls",
        ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, "localhost"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # as around each test
    )
    with django_db_blocker.unblock(), changed:
        server = LiveServer("localhost")
        visitor = Visitor(chromium, server.url, make_scene())
        yield visitor
        visitor.close()
        server.stop()
        call_command("flush", interactive=False, verbosity=0)


def violations(page: "Page", options: dict[str, Any]) -> list[str]:
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:160]} {node['any'][:1]}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("case", CASES)
def test_every_page_is_accessible_in_both_languages_and_themes(
    visitor: Visitor, case: PageCase
) -> None:
    for language, scheme, other in ROUNDS:
        page = visitor.open(case, language=language, scheme=scheme)
        try:
            assert page.locator("html").get_attribute("lang") == language
            assert page.title().strip()
            assert page.locator("h1").count() == 1
            assert violations(page, EVERYTHING) == [], f"{language}, {scheme}"
            page.emulate_media(color_scheme=other)
            page.evaluate(SETTLED)
            assert violations(page, COLOURS) == [], f"{language}, {other}"
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                page.evaluate(SETTLED)
                assert overflow(page) == [], f"{language}, {width} px"
        finally:
            page.close()


def overflow(page: "Page") -> list[str]:
    """Name what makes the page wider than the window, if it is."""
    found: list[str] = page.evaluate(
        """() => {
            const room = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= room) return [];
            return [...document.body.querySelectorAll("*")]
                .filter(element => element.getBoundingClientRect().right > room + 1)
                .filter(element => !element.closest(".table-scroll, .results"))
                .map(element => element.outerHTML.slice(0, 120));
        }"""
    )
    return found[-3:]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name) for case in PAGES if case.act is None],
)
def test_every_page_reads_without_scripts(visitor: Visitor, case: PageCase) -> None:
    page = visitor.open(case, scripts=False)
    try:
        assert page.locator("h1").is_visible()
        main = page.locator("main, #main").first
        assert len(main.inner_text().split()) > 5
    finally:
        page.close()


# --- Keyboard ------------------------------------------------------------------------------------
KEYBOARD = ("home", "competition", "board", "submit", "team", "settings", "submission-scored")
# What a page offers to the keyboard; of a group of radio buttons Tab reaches one.
_REACHABLE = """() => {
    const all = document.querySelectorAll("a[href], button, input, select, textarea, summary");
    return [...all].filter(element => element.checkVisibility({visibilityProperty: true})
        && !element.matches(":disabled") && element.tabIndex >= 0 && element.type !== "hidden"
        && element.type !== "radio").length;
}"""
_FOCUSED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    window.reached = window.reached || [];
    const isNew = !window.reached.includes(element);
    if (isNew) window.reached.push(element);
    const shows = target => {
        const style = getComputedStyle(target);
        return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
            || style.boxShadow !== "none";
    };
    const holder = element.closest(".competition-card, .drop, label") || element;
    return {
        isNew,
        isControl: element.matches("a[href], button, input, select, textarea, summary")
            && element.type !== "radio",
        isSeen: shows(element) || shows(holder),
        html: element.outerHTML.slice(0, 140),
    };
}"""


@pytest.mark.parametrize("name", KEYBOARD)
def test_tab_reaches_every_control_and_shows_where_it_is(visitor: Visitor, name: str) -> None:
    case = next(each for each in PAGES if each.name == name)
    page = visitor.open(PageCase(case.name, case.path, "member"))
    try:
        expected = page.evaluate(_REACHABLE)
        reached = 0
        for _press in range(expected + 40):
            page.keyboard.press("Tab")
            focused = page.evaluate(_FOCUSED)
            if focused is None or not focused["isNew"]:
                break
            assert focused["isSeen"], focused["html"]
            reached += focused["isControl"]
        assert reached == expected
    finally:
        page.close()


def test_the_first_tab_skips_to_the_content(visitor: Visitor) -> None:
    page = visitor.open(PAGES[0])
    page.keyboard.press("Tab")
    skip = page.locator(".skip-link")
    assert skip.evaluate("link => link === document.activeElement")
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


def test_the_menu_opens_and_closes_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open(PageCase("menu", PAGES[0].path, "member"))
    page.locator("details.menu summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("details.menu li a").first.is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('details.menu li'))")
    page.keyboard.press("Escape")
    assert page.locator("details.menu li a").first.is_hidden()
    assert page.evaluate("document.activeElement.matches('details.menu summary')")
    page.close()
