"""From nothing to a place on the board, by two people in their browsers and the real workers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluation.demo.baselines import trained_baseline
from tests.deployment import deployed
from tests.end_to_end.running_site import SCORED_S, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSWORD = "brush-and-canvas-7"
SCORED_MS = SCORED_S * 1000
PAIRS = 3


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("site") / "var") as deployment:
        yield Site(deployment)


@pytest.fixture
def second_page(chromium: "Browser") -> Iterator["Page"]:
    """Open a second person's browser, which shares nothing with the first."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def sign_up(page: "Page", name: str) -> None:
    form = page.locator("main form.form-card")
    form.locator("[name=username]").fill(name)
    form.locator("[name=email]").fill(f"{name}@example.org")
    for field in ("password1", "password2"):
        form.locator(f"[name={field}]").fill(PASSWORD)
    form.get_by_role("button", name="Sign up").click()
    page.locator("summary", has_text=name).wait_for()


def upload(page: "Page", path: Path) -> None:
    page.locator("main").get_by_role("link", name="Submit", exact=True).click()
    page.get_by_label("Checkpoint").set_input_files(path)


def submit(page: "Page") -> None:
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url("**/submissions/**")


def watch_until_scored(page: "Page") -> None:
    """Look at the page, which follows the submission by itself."""
    page.get_by_role("heading", name="Scores").wait_for(timeout=SCORED_MS)
    assert "Scored" in page.locator("#state").inner_text()


def see_gallery(page: "Page", pairs: int) -> None:
    pictures = page.locator(".gallery img[src*='/outputs/']")
    pictures.first.scroll_into_view_if_needed()
    assert pictures.count() >= pairs
    assert pictures.first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def slug_of(site: Site, phase: str) -> str:
    code = (
        "from competitions.models import Phase; "
        f"print(Phase.objects.get(pk={phase}).competition.slug)"
    )
    return site.deployment.manage("shell", "-v", "0", "-c", code).split()[-1]


def test_two_members_share_a_team_s_quota_and_rank(
    page: "Page", second_page: "Page", site: Site, tmp_path: Path
) -> None:
    phase = site.add_phase(pairs=PAIRS, size=64, quota_per_day=2)
    address = f"{site.deployment.url}/competitions/{slug_of(site, phase)}/"
    page.goto(f"{site.deployment.url}/")
    page.get_by_role("link", name="Sign up").click()
    sign_up(page, "ada")
    page.goto(address)
    page.locator("main").get_by_role("link", name="Join").click()
    page.get_by_label("With a team that I name").check()
    page.get_by_label("Name of the team").fill("Analytical Painters")
    page.get_by_role("button", name="Join").click()
    page.get_by_role("link", name="My team: Analytical Painters").click()
    page.get_by_role("button", name="Make an invitation").click()
    link = page.locator("#new-link").inner_text()

    second_page.goto(link)
    second_page.locator("main").get_by_role("link", name="Sign up").click()
    sign_up(second_page, "charles")
    second_page.get_by_role("button", name="Join").click()
    second_page.get_by_role("heading", name="Analytical Painters", exact=True).wait_for()

    baseline = trained_baseline()
    (tmp_path / baseline.filename).write_bytes(baseline.checkpoint)
    second_page.goto(address)
    upload(second_page, tmp_path / baseline.filename)
    for name, value in baseline.manifest["parameters"].items():
        field = f"{baseline.manifest['architecture']}_{name}"
        second_page.locator(f"[name={field}]").fill(str(value))
    second_page.get_by_label("It takes values of").select_option(baseline.manifest["input_range"])
    second_page.get_by_label("It returns values of").select_option(
        baseline.manifest["output_range"]
    )
    submit(second_page)
    watch_until_scored(second_page)
    see_gallery(second_page, PAIRS)

    # The other member finds it, its rank, and one try less, without having done anything.
    page.goto(f"{site.deployment.url}/submissions/")
    row = page.locator(".my-row").filter(has_text=baseline.filename)
    assert "Scored" in row.inner_text()
    page.goto(f"{site.deployment.url}/phases/{phase}/submit/")
    assert "1 of 2" in page.locator("#submit-panel").inner_text()
    page.goto(address)
    own = page.locator("#board tr").filter(has_text="Analytical Painters")
    assert own.locator(".rank").inner_text() == "1"
    assert "is-own" in (own.get_attribute("class") or "")


def test_a_stranger_s_generator_is_uploaded_watched_and_ranked(
    page: "Page", site: Site, real_inputs: Path
) -> None:
    phase = site.add_phase(pairs=2, size=256)
    address = f"{site.deployment.url}/competitions/{slug_of(site, phase)}/"
    page.goto(address)
    page.locator("header").get_by_role("link", name="Sign up").click()
    sign_up(page, "grace")
    page.goto(address)
    page.locator("main").get_by_role("link", name="Join").click()
    page.get_by_role("button", name="Join").click()
    page.goto(address)
    upload(page, real_inputs / "checkpoints" / "transformernet_nc16_mosaic_dynamic.onnx")
    assert page.get_by_label("Name of the content input").input_value() == "content"
    page.get_by_label("It takes values of").select_option("0..255")
    page.get_by_label("It returns values of").select_option("0..255")
    submit(page)
    watch_until_scored(page)
    see_gallery(page, 2)
    page.goto(address)
    assert page.locator("#board tr").filter(has_text="grace").locator(".rank").inner_text() == "1"
