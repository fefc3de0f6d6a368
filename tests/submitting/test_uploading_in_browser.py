"""Large files from a real browser: pauses, cuts and reloads, under the site's own policy."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from competitions.models import Phase, Team
from submissions.models import Submission, Upload
from submissions.states import Status
from tests.factories import make_submission
from tests.submitting.browsing import choose, submit
from tests.submitting.exported import make_generator

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Route

UPLOADS = "**/api/v1/uploads/**"
SLOW = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}


@pytest.fixture
def big(tmp_path: Path) -> Path:
    return make_generator(tmp_path / "big.onnx", names=("content",), weights=600_000)


@pytest.fixture
def network(form: "Page") -> Any:
    """Return what slows the browser's line down."""
    session = form.context.new_cdp_session(form)
    session.send("Network.enable")
    return session


def test_progress_is_shown_and_an_upload_can_be_stopped_and_tried_again(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = make_generator(tmp_path / "big.onnx", names=("content",), weights=600_000)
    network = form.context.new_cdp_session(form)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 400_000})
    choose(form, path)
    expect(form.locator("[data-found]")).to_be_visible()
    submit(form)
    numbers = form.locator("[data-upload-numbers]")
    expect(numbers).to_have_text(re.compile(r"^[\d.]+ \w+ of 2\.3 MB$"))
    expect(form.locator("[data-upload-rate]")).to_have_text(re.compile(r"per second$"))
    expect(form.locator("[data-upload-left]")).to_have_text(re.compile(r"^\d+ sec left$"))
    expect(form.get_by_role("button", name="Stop the upload")).to_be_in_viewport(ratio=1)
    assert 0 < float(form.get_by_role("progressbar").get_attribute("value") or 0) < 100
    form.get_by_role("button", name="Stop the upload").click()
    form.get_by_text("You stopped the upload").wait_for()
    assert not Submission.objects.exists()

    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    form.get_by_role("button", name="Try again").click()
    form.wait_for_url("**/submissions/**")
    assert Submission.objects.get().file_name == "big.onnx"


def test_a_paused_upload_goes_on_after_a_reload_where_it_was(
    form: "Page", big: Path, network: Any, complaints: list[str]
) -> None:
    network.send("Network.emulateNetworkConditions", SLOW)
    choose(form, big)
    submit(form)
    bar = form.get_by_role("progressbar")
    expect(form.locator("[data-upload-percent]")).to_have_text(re.compile(r"^([3-9]\d)%$"))
    form.get_by_role("button", name="Pause").click()
    expect(form.get_by_text("Paused. What has been sent stays here")).to_be_visible()
    expect(form.get_by_role("button", name="Go on")).to_be_focused()
    assert 0 < float(bar.get_attribute("value") or 0) < 100
    form.reload()
    network.send("Network.emulateNetworkConditions", {**SLOW, "uploadThroughput": -1})
    choose(form, big)
    expect(form.get_by_text("Some of this file is on the site already")).to_be_visible()
    asked: list[Request] = []
    form.on("request", lambda request: asked.append(request))
    submit(form)
    form.wait_for_url("**/submissions/**")
    (sent,) = [each for each in asked if each.method == "PATCH"]
    offset = int(sent.headers["upload-offset"])
    assert offset > big.stat().st_size // 5
    assert not [each for each in asked if each.url.endswith("/uploads/") and each.method == "POST"]
    assert Upload.objects.count() == 1
    submission = Submission.objects.get()
    assert submission.sha256 == hashlib.sha256(big.read_bytes()).hexdigest()
    assert submission.sha256 in form.content()


def test_a_large_file_is_sent_in_pieces_of_8_mb(
    form: "Page", phase: Phase, tmp_path: Path, complaints: list[str]
) -> None:
    Phase.objects.update(max_checkpoint_bytes=40_000_000)
    form.reload()
    path = make_generator(tmp_path / "large.onnx", names=("content",), weights=17 * 2**18)
    asked: list[Request] = []
    form.on("request", lambda request: asked.append(request))
    choose(form, path)
    submit(form)
    form.wait_for_url("**/submissions/**")
    begins = [int(each.headers["upload-offset"]) for each in asked if each.method == "PATCH"]
    assert begins == [0, 8 * 2**20, 16 * 2**20]
    assert Submission.objects.get().sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_paused_upload_goes_on_by_a_press(
    form: "Page", big: Path, network: Any, complaints: list[str]
) -> None:
    network.send("Network.emulateNetworkConditions", SLOW)
    choose(form, big)
    submit(form)
    expect(form.locator("[data-upload-percent]")).to_have_text(re.compile(r"^[1-9]\d?%$"))
    form.get_by_role("button", name="Pause").focus()
    form.keyboard.press("Enter")
    expect(form.get_by_role("button", name="Go on")).to_be_focused()
    network.send("Network.emulateNetworkConditions", {**SLOW, "uploadThroughput": -1})
    form.keyboard.press("Enter")
    form.wait_for_url("**/submissions/**")
    assert Submission.objects.get().checkpoint.read() == big.read_bytes()


def test_a_cut_is_mended_by_itself(form: "Page", tmp_path: Path, complaints: list[str]) -> None:
    cuts: list[str] = []

    def cut(route: "Route", request: "Request") -> None:
        if request.method == "PATCH" and len(cuts) < 2:
            cuts.append(request.method)
            route.abort()
        else:
            route.continue_()

    form.route(UPLOADS, cut)
    choose(form, make_generator(tmp_path / "g.onnx", names=("content",)))
    submit(form)
    form.get_by_text("It is tried again by itself").wait_for()
    form.wait_for_url("**/submissions/**")
    assert len(cuts) == 2


def test_without_a_line_it_waits_and_goes_on_when_there_is_one(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    def cut(route: "Route", request: "Request") -> None:
        route.abort() if request.method == "PATCH" else route.continue_()

    choose(form, make_generator(tmp_path / "g.onnx", names=("content",)))
    form.route(UPLOADS, cut)
    is_online = "value => Object.defineProperty(navigator, 'onLine', {value, configurable: true})"
    form.evaluate(is_online, False)
    submit(form)
    form.get_by_text("The connection broke off. Nothing was charged").wait_for()
    assert form.get_by_role("button", name="Go on").is_visible()
    form.unroute(UPLOADS)
    form.evaluate(is_online, True)
    form.evaluate("() => dispatchEvent(new Event('online'))")
    form.wait_for_url("**/submissions/**")


def test_where_the_form_is_lost_on_the_way_the_file_is_not_sent_again(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    def lose(route: "Route", request: "Request") -> None:
        route.abort() if request.method == "POST" else route.continue_()

    form.route("**/submit/?upload=*", lose)
    choose(form, make_generator(tmp_path / "g.onnx", names=("content",)))
    submit(form)
    form.get_by_text("nothing was submitted yet").wait_for()
    form.unroute("**/submit/?upload=*")
    sent: list[str] = []
    form.on("request", lambda request: sent.append(request.method))
    form.get_by_role("button", name="Try again").click()
    form.wait_for_url("**/submissions/**")
    assert "PATCH" not in sent


def test_what_the_site_refuses_is_told_in_its_words(
    form: "Page", tmp_path: Path, phase: Phase, team: Team, complaints: list[str]
) -> None:
    choose(form, make_generator(tmp_path / "g.onnx", names=("content",)))
    Phase.objects.update(quota_per_day=1)
    make_submission(phase=phase, team=team, status=Status.SCORED)
    submit(form)
    message = form.locator("[data-upload-message]")
    expect(message).to_contain_text("used its submissions of the last 24 hours")
    expect(form.get_by_role("button", name="Try again")).to_be_visible()
    assert not Upload.objects.exists()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_upload_is_easy_to_use(
    form: "Page", big: Path, network: Any, complaints: list[str], width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    form.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    form.set_viewport_size({"width": width, "height": 844})
    network.send("Network.emulateNetworkConditions", SLOW)
    choose(form, big)
    link = form.get_by_role("link", name="Which range, order and size is mine?").bounding_box()
    above = form.get_by_label("It returns values of").bounding_box()
    assert link is not None
    assert above is not None
    assert link["y"] >= above["y"] + above["height"], "the hint covers the field above"
    submit(form)
    expect(form.locator("[data-upload-left]")).to_have_text(re.compile("left$"))
    form.get_by_role("button", name="Pause").click()
    form.get_by_role("button", name="Go on").wait_for()
    assert form.locator("html").evaluate("page => page.scrollWidth - page.clientWidth") == 0
    found = Axe().run(form).response["violations"]
    assert not found, [(each["id"], each["nodes"][0]["html"]) for each in found]
