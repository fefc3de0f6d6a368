"""The form and the gallery in a real browser, under the site's own policy on scripts."""

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import pytest
from django.urls import reverse
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer
from safetensors.numpy import save_file

from competitions.models import Phase, Team
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_scored_submission
from tests.submitting.browsing import choose, submit
from tests.submitting.exported import make_generator, make_weights

if TYPE_CHECKING:
    from playwright.sync_api import Page

DROP = """([zone, name, bytes]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true}));
  }
}"""


def drop(page: "Page", path: Path) -> None:
    zone = page.locator(".drop").element_handle()
    page.evaluate(DROP, [zone, path.name, list(path.read_bytes())])


# --- Submitting -----------------------------------------------------------------------------------
def test_a_dropped_file_fills_the_form_in_and_is_submitted(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = make_generator(tmp_path / "painter.onnx", names=("photograph", "style_image"))
    drop(form, path)
    expect(form.locator("[data-chosen]")).to_contain_text("painter.onnx")
    expect(form.locator("[data-found]")).to_contain_text("Recognized: ONNX")
    assert form.get_by_label("Name of the content input").input_value() == "photograph"
    assert form.get_by_label("Name of the style input").input_value() == "style_image"
    submit(form)
    form.wait_for_url("**/submissions/**")
    form.get_by_text("Your submission has arrived").wait_for()
    submission = Submission.objects.get()
    assert submission.file_name == "painter.onnx"
    assert [each["name"] for each in submission.manifest["inputs"]] == ["photograph", "style_image"]
    assert submission.checkpoint.read() == path.read_bytes()


def test_an_onnx_file_of_one_size_is_recognized_as_such(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    choose(form, make_generator(tmp_path / "g.onnx", names=("in.1",), sides=(32, 32)))
    expect(form.locator("[data-found]")).to_contain_text("for 32 by 32 only")
    assert form.get_by_label("One size only").is_checked()
    assert form.get_by_label("Height in pixels").input_value() == "32"
    assert form.get_by_label("Name of the content input").input_value() == "in.1"


def test_weights_choose_their_architecture_and_its_usual_ranges(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    choose(form, make_weights(tmp_path / "g.safetensors", width=4))
    expect(form.locator("[data-found]")).to_contain_text("TransformerNet")
    assert form.get_by_label("safetensors", exact=True).is_checked()
    assert form.get_by_label("Architecture").input_value() == "transformer_net"
    width = form.locator("[name=transformer_net_width]")
    assert (width.input_value(), width.is_visible()) == ("4", True)
    assert not form.locator("[name=resnet_generator_width]").is_visible()
    assert not form.locator("[name=content_input]").is_visible()
    assert form.get_by_label("It takes values of").input_value() == "0..255"
    form.get_by_label("Architecture").select_option("resnet_generator")
    assert form.get_by_label("It takes values of").input_value() == "-1..1"
    assert form.locator("[name=resnet_generator_blocks]").is_visible()


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        ("transformer_net", {"width": 5}),
        ("resnet_generator", {"blocks": 6, "width": 3}),
        ("unet_generator", {"downs": 7, "width": 2, "batch_norm": 0}),
        ("unet_generator", {"downs": 8, "width": 2, "batch_norm": 1}),
        ("adain", {"width": 3}),
    ],
)
def test_every_architecture_is_recognized_with_its_parameters(
    form: "Page",
    tmp_path: Path,
    complaints: list[str],
    architecture: str,
    parameters: dict[str, int],
) -> None:
    path = make_weights(tmp_path / "g.safetensors", architecture=architecture, **parameters)
    choose(form, path)
    expect(form.get_by_label("Architecture")).to_have_value(architecture)
    for name, value in parameters.items():
        expect(form.locator(f"[name={architecture}_{name}]")).to_have_value(str(value))


def test_a_state_dict_is_left_to_the_check_and_its_picture_is_waited_for(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = tmp_path / "g.pth"
    path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    choose(form, path)
    expect(form.locator("[data-found]")).to_contain_text("read in a sandbox")
    assert form.get_by_label("Read it from the file").is_checked()
    assert not form.locator("[name=input_range]").is_visible()
    submit(form)
    form.wait_for_url("**/submissions/**")
    submission = Submission.objects.get()
    assert submission.manifest == {"format": "state_dict"}
    assert submission.is_held


def test_a_program_is_told_before_it_is_sent(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = tmp_path / "g.pt"
    with ZipFile(path, "w") as file:
        file.writestr("g/data.pkl", b"\x80\x02.")
        file.writestr("g/code/__torch__.py", "")
    choose(form, path)
    expect(form.locator("[data-found]")).to_contain_text("a TorchScript program")


def test_chosen_ranges_need_no_look_at_the_first_picture(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    choose(form, make_weights(tmp_path / "g.safetensors", width=4))
    hold = form.get_by_label("Show me the first picture")
    expect(hold).to_be_checked()
    form.get_by_label("It returns values of").select_option("0..1")
    expect(hold).not_to_be_checked()


def test_weights_of_an_unknown_network_are_told_to_come_as_onnx(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = tmp_path / "own.safetensors"
    save_file({"layer.weight": np.zeros((3, 3), np.float32)}, path)
    choose(form, path)
    expect(form.locator("[data-found]")).to_contain_text("Export the generator to ONNX instead")
    assert form.get_by_label("safetensors", exact=True).is_checked()


def test_errors_stand_beside_their_fields_and_the_chosen_file_stays(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = make_generator(tmp_path / "g.onnx", names=("content",))
    choose(form, path)
    expect(form.locator("[data-found]")).to_be_visible()
    form.get_by_label("Multiples of", exact=True).fill("65")
    form.get_by_label("It returns values of").select_option("imagenet")
    submit(form)
    error = form.locator(".field.has-error .field-error")
    expect(error).to_contain_text("less than or equal to 64")
    multiples = form.get_by_label("Multiples of", exact=True)
    expect(multiples).to_have_attribute("aria-invalid", "true")
    expect(multiples).to_be_focused()
    assert form.get_by_label("It returns values of").input_value() == "imagenet"
    expect(form.locator("[data-chosen]")).to_contain_text("g.onnx")
    expect(form.get_by_text("Choose the file again")).to_be_hidden()
    multiples.fill("8")
    submit(form)
    form.wait_for_url("**/submissions/**")
    assert Submission.objects.get().manifest["size"] == {"multiple_of": 8}


def test_a_file_that_is_refused_is_told_at_the_file(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    path = tmp_path / "weights.tar.gz"
    path.write_bytes(b"\x1f\x8b\x08" + bytes(60))
    choose(form, path)
    expect(form.locator("[data-found]")).to_contain_text("neither ONNX nor safetensors")
    submit(form)
    expect(form.locator("#file .field-error").first).to_contain_text("can run code when opened")
    choose(form, make_generator(tmp_path / "g.onnx", names=("content",)))
    expect(form.get_by_text("can run code when opened.", exact=False)).to_have_count(1)  # the help


def test_a_file_that_is_too_large_is_not_even_sent(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    sent: list[str] = []
    form.on("request", lambda request: sent.append(request.method))
    path = tmp_path / "huge.onnx"
    path.write_bytes(b"\0" * 3_000_001)
    choose(form, path)
    expect(form.locator("[data-file-problem]")).to_contain_text("larger than the 2.9 MB")
    submit(form)
    expect(form.get_by_label("Checkpoint")).to_be_focused()
    assert "POST" not in sent


def test_several_files_at_once_are_declined(form: "Page", complaints: list[str]) -> None:
    form.evaluate(
        """zone => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["a"], "a"));
          transfer.items.add(new File(["b"], "b"));
          zone.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }""",
        form.locator(".drop").element_handle(),
    )
    expect(form.locator("[data-file-problem]")).to_contain_text("One file at a time")


def test_who_was_logged_out_meanwhile_is_led_to_log_in_again(
    form: "Page", tmp_path: Path, complaints: list[str]
) -> None:
    choose(form, make_generator(tmp_path / "g.onnx", names=("content",)))
    form.context.clear_cookies(name="sessionid")
    submit(form)
    form.wait_for_url("**/accounts/login/?next=**")


def test_the_form_works_without_scripts(
    form: "Page", live_server: LiveServer, tmp_path: Path
) -> None:
    assert form.context.browser
    plain = form.context.browser.new_context(
        java_script_enabled=False, storage_state=form.context.storage_state()
    )
    page = plain.new_page()
    page.goto(form.url)
    choose(page, make_generator(tmp_path / "g.onnx", names=("content",)))
    page.get_by_label("safetensors", exact=True).check()
    assert page.locator("[name=architecture]").is_visible()
    assert not page.locator("[name=content_input]").is_visible()
    submit(page)
    page.get_by_text("Choose the file again").wait_for()
    assert "says safetensors, but the file is onnx" in page.locator("main").inner_text()
    page.get_by_label("ONNX", exact=True).check()
    choose(page, tmp_path / "g.onnx")
    submit(page)
    page.wait_for_url("**/submissions/**")
    assert Submission.objects.get().status == Status.CHECKING
    plain.close()


# --- Gallery --------------------------------------------------------------------------------------
def test_a_picture_opens_in_a_lightbox_and_the_keys_leaf_through_it(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    submission = make_scored_submission(phase=phase)
    page.goto(live_server.url + submission.get_absolute_url())
    page.get_by_role("link", name="Output for pair 1").click()
    box = page.get_by_role("dialog")
    expect(box.locator(".pswp__caption")).to_have_text("Output for pair 1")
    picture = box.locator('img.pswp__img[src*="/outputs/0.png"]').last
    expect(picture).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(box.locator(".pswp__caption")).to_have_text("Content image of pair 1")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)


def test_the_slider_compares_by_keyboard(
    page: "Page", live_server: LiveServer, phase: Phase, complaints: list[str]
) -> None:
    submission = make_scored_submission(phase=phase)
    page.goto(live_server.url + submission.get_absolute_url())
    slider = page.get_by_role("group", name="Content and output of pair 1")
    slider.focus()
    before = slider.evaluate("slider => slider.value")
    page.keyboard.down("ArrowRight")
    page.wait_for_timeout(400)
    page.keyboard.up("ArrowRight")
    assert slider.evaluate("slider => slider.value") != before


def test_without_scripts_content_and_output_stand_side_by_side(
    page: "Page", live_server: LiveServer, phase: Phase
) -> None:
    submission = make_scored_submission(phase=phase)
    assert page.context.browser
    plain = page.context.browser.new_context(java_script_enabled=False)
    still = plain.new_page()
    still.goto(live_server.url + submission.get_absolute_url())
    boxes = [still.locator(".compare img").nth(index).bounding_box() for index in (0, 1)]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    plain.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_no_page_is_wider_than_the_window_or_hard_to_use(
    form: "Page",
    live_server: LiveServer,
    phase: Phase,
    team: Team,
    complaints: list[str],
    width: int,
    scheme: str,
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    form.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    form.set_viewport_size({"width": width, "height": 844})
    scored = make_scored_submission(phase=phase, team=team, file_name="x" * 96 + ".bin")
    make_scored_submission(phase=phase, team=team, file_name="again")
    for address in (
        reverse("submit", args=[phase.pk]),
        scored.get_absolute_url(),
        reverse("my-submissions"),
    ):
        form.goto(live_server.url + address)
        overflow = form.locator("html").evaluate("page => page.scrollWidth - page.clientWidth")
        assert overflow == 0, address
        found = Axe().run(form).response["violations"]
        assert not found, [(each["id"], each["nodes"][0]["html"]) for each in found]
