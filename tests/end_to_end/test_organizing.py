"""An organizer builds a competition from nothing in the admin, opens it, and it works."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from evaluation.demo.baselines import identity_baseline
from tests.deployment import Deployment, deployed
from tests.end_to_end.running_site import SCORED_S

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "palette-and-easel-9"
PREPARED_MS = 180_000
TITLE = "Harbours at dusk"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("site") / "var", ARENA_ADMIN_PASSWORD=PASSWORD) as made:
        made.manage("create_administrator", "boss", "boss@example.org")
        people = (
            "from tests.factories import make_user; from django.contrib.auth.models import Group; "
            f"user = make_user(username='olga', password='{PASSWORD}', is_staff=True); "
            "user.groups.add(Group.objects.get(name='Organizers'))"
        )
        made.manage("shell", "-v", "0", "-c", people)
        yield made


def make_photograph(seed: int) -> bytes:
    """Return a JPEG of no particular size, as a camera gives it."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (6, 9, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.kron(blocks, np.ones((20, 20, 1), dtype=np.uint8))).save(file, "JPEG")
    return file.getvalue()


def pack(folder: Path, name: str, seeds: range) -> Path:
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for seed in seeds:
            archive.writestr(f"{name}-{seed}.jpg", make_photograph(seed))
        rows = "".join(f"{name}-{seed}.jpg,Ann Example,CC BY 4.0,\n" for seed in seeds)
        archive.writestr("credits.csv", "name,credit,licence,source\n" + rows)
    return path


def log_in(page: "Page", site: Deployment) -> None:
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="New competition").wait_for()


def save(page: "Page") -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".messagelist .success").first.wait_for()


def open_competition(page: "Page", site: Deployment) -> None:
    page.goto(f"{site.url}/admin/")
    page.get_by_role("link", name=TITLE).first.click()


def write_competition(page: "Page") -> None:
    page.get_by_role("link", name="New competition").click()
    page.get_by_label("Title").fill(TITLE)
    page.get_by_label("Summary").fill("Paint what the evening leaves.")
    page.locator("[name=description]").fill("Boats, **quays**, lamps.")
    page.locator("[name=terms]").fill("Be kind.")
    assert page.locator("[name=slug]").input_value() == "harbours-at-dusk"
    save(page)


def make_references(page: "Page", tmp_path: Path) -> None:
    page.get_by_role("link", name="Add a reference set").first.click()
    page.locator("[name=name]").fill("Evenings")
    page.locator("[name=image_size]").fill("64")
    page.get_by_role("button", name="Save", exact=True).click()
    for name, use, seeds in (
        ("boats", "content image", range(3)),
        ("paintings", "style image", range(10, 12)),
        ("museum", "reference for FID", range(20, 24)),
    ):
        if page.locator("input[type=file]").count() == 0:
            page.get_by_role("link", name="Add images").click()
        page.locator("input[type=file]").set_input_files(pack(tmp_path, name, seeds))
        page.get_by_label(use).check()
        page.get_by_role("button", name="Upload").click()
        page.get_by_text(f"{name}.zip").first.wait_for()
    # The page follows the worker by itself.
    page.get_by_text("3 pairs").first.wait_for(timeout=PREPARED_MS)


def make_recipe(page: "Page") -> None:
    page.get_by_role("link", name="Add a recipe").first.click()
    page.locator("[name=name]").fill("As usual")
    page.get_by_role("button", name="Save and continue editing").click()
    page.locator("[name=calibration-reference_set]").select_option(label="Evenings")
    page.locator("[name=calibration-networks]").select_option("surrogates")
    page.get_by_role("button", name="Calibrate").click()
    page.get_by_role("heading", name="Calibrations").wait_for()
    calibrated = page.locator("td").filter(has_text="Ready")
    for _ in range(90):
        if calibrated.count():
            break
        page.wait_for_timeout(2000)
        page.reload()
    assert calibrated.count() == 1


def make_phase(page: "Page") -> None:
    page.get_by_role("link", name="Add a phase").first.click()
    page.locator("[name=name]").fill("Only phase")
    page.locator("[name=opens_at_0]").fill("2026-01-01")
    page.locator("[name=opens_at_1]").fill("00:00:00")
    page.locator("[name=reference_set]").select_option(label="Evenings")
    page.locator("[name=recipe]").select_option(label="As usual")
    page.locator("[name=networks][value=surrogates]").check()
    page.locator("[name=pairs_public]").check()
    save(page)


def test_a_competition_from_nothing_takes_and_ranks_a_submission(
    page: "Page", site: Deployment, tmp_path: Path
) -> None:
    log_in(page, site)
    write_competition(page)
    open_competition(page, site)
    publish = page.get_by_role("button", name="Publish")
    assert publish.is_disabled()  # the checklist says what lacks
    make_references(page, tmp_path)
    open_competition(page, site)
    make_recipe(page)
    open_competition(page, site)
    make_phase(page)
    open_competition(page, site)
    publish.click()
    page.get_by_role("heading", name="Published").wait_for()

    # Now as anybody: the organizer takes part like others do.
    page.goto(f"{site.url}/")
    page.get_by_role("link", name=TITLE).click()
    page.locator("main").get_by_role("link", name="Join").click()
    page.get_by_label("I have read the terms").check()
    page.get_by_role("button", name="Join").click()
    page.goto(f"{site.url}/competitions/harbours-at-dusk/")
    page.locator("main").get_by_role("link", name="Submit", exact=True).click()
    baseline = identity_baseline()
    (tmp_path / baseline.filename).write_bytes(baseline.checkpoint)
    page.get_by_label("Checkpoint").set_input_files(tmp_path / baseline.filename)
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url("**/submissions/**")
    # No range was chosen, so it waits until somebody has looked at its first picture.
    page.get_by_role("button", name="It looks right: queue it").click(timeout=SCORED_S * 1000)
    page.get_by_role("heading", name="Scores").wait_for(timeout=SCORED_S * 1000)
    page.goto(f"{site.url}/competitions/harbours-at-dusk/")
    assert page.locator("#board .rank").first.inner_text() == "1"
    assert page.get_by_text("Ann Example").count()  # whom the pictures are owed to
