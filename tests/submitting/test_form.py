"""Every bad input of the form: the right status, the words beside the right field."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from styletransfer.architectures import ARCHITECTURES
from submissions.models import Submission
from submissions.states import Status
from tests.api.conftest import client_for
from tests.factories import MANIFEST, make_competition, make_phase, make_submission, make_user
from tests.submitting.conftest import FIELDS, LEFT_OUT, Sender, errors_of
from tests.uploads import make_body, make_onnx, make_upload

pytestmark = pytest.mark.django_db
Enter = Callable[..., Sender]
SAFETENSORS = b"\x10\0\0\0\0\0\0\0{" + b" " * 20


def stored_files() -> list[Path]:
    folders = (Path(settings.MEDIA_ROOT) / "checkpoints", Path(settings.FILE_UPLOAD_TEMP_DIR))
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def _own_temporary_folder(settings: Any, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "tmp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


def refused(response: Any, status: int, field: str, words: str) -> None:
    """Check a refusal: status, words at the field, nothing entered, no file left."""
    errors = errors_of(response)
    assert response.status_code == status, errors
    assert list(errors) == [field], errors
    assert words in " ".join(errors[field]), errors
    assert not stored_files()


# --- What is taken --------------------------------------------------------------------------------
def test_a_filled_in_form_enters_the_submission_its_fields_describe(sender: Sender) -> None:
    content = make_onnx()
    response = sender.send(make_upload(content), style_input="style", channel_order="BGR")
    submission = Submission.objects.get()
    assert response.status_code == 302
    assert response["Location"] == submission.get_absolute_url()
    assert submission.checkpoint.read() == content
    assert submission.manifest == {
        **MANIFEST,
        "inputs": [{"role": "content", "name": "content"}, {"role": "style", "name": "style"}],
        "output_range": "0..255",
        "channel_order": "BGR",
        "size": {"multiple_of": 4},
    }
    assert (submission.team, submission.submitted_by) == (sender.team, sender.user)


def test_a_file_name_is_shown_as_the_text_it_is(sender: Sender) -> None:
    response = sender.send(make_upload(name="<img src=x onerror=alert(1)>.onnx"))
    for address in (response["Location"], reverse("my-submissions")):
        text = sender.client.get(address).content.decode()
        assert "&lt;img src=x onerror=alert(1)&gt;.onnx" in text, address
        assert "<img src=x" not in text, address


@pytest.mark.parametrize(
    ("architecture", "fields", "parameters"),
    [
        ("transformer_net", {"transformer_net_width": "16"}, {"width": 16}),
        (
            "resnet_generator",
            {"resnet_generator_width": "32", "resnet_generator_blocks": "6"},
            {"width": 32, "blocks": 6},
        ),
    ],
)
def test_weights_come_with_their_architecture(
    sender: Sender, architecture: str, fields: dict[str, str], parameters: dict[str, int]
) -> None:
    response = sender.send(
        make_upload(SAFETENSORS), format="safetensors", architecture=architecture, **fields
    )
    assert response.status_code == 302, errors_of(response)
    manifest = Submission.objects.get().manifest
    assert (manifest["architecture"], manifest["parameters"]) == (architecture, parameters)


def test_every_architecture_has_fields_for_its_parameters(sender: Sender) -> None:
    form = sender.get().context["form"]
    for architecture in ARCHITECTURES.values():
        for name, parameter in architecture.parameters.items():
            field = form[f"{architecture.name}_{name}"]
            assert str(field.initial) == str(parameter.default)


def test_a_fixed_size_is_that_of_the_phase(sender: Sender) -> None:
    assert sender.send(size_rule="fixed", fixed_height="32", fixed_width="32").status_code == 302
    assert Submission.objects.get().manifest["size"] == {"fixed": [32, 32]}


def test_a_pasted_manifest_counts_instead_of_the_fields(sender: Sender) -> None:
    pasted = json.dumps({**MANIFEST, "input_range": "imagenet"})
    response = sender.send(manifest=pasted, input_range="nonsense", multiple_of="")
    assert response.status_code == 302, errors_of(response)
    assert Submission.objects.get().manifest["input_range"] == "imagenet"


def test_a_program_in_the_page_is_told_where_the_submission_is(sender: Sender) -> None:
    body = {**FIELDS, "checkpoint": make_upload()}
    response = sender.client.post(sender.url, body, headers={"X-Requested-With": "XMLHttpRequest"})
    assert response.status_code == 201
    assert response["Location"] == Submission.objects.get().get_absolute_url()


# --- Fields ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"format": LEFT_OUT}, "format", "required"),
        ({"format": "pickle"}, "format", "Select a valid choice"),
        ({"content_input": ""}, "content_input", "required"),
        ({"content_input": "a" * 201}, "content_input", "at most 200"),
        ({"content_input": "a\0b"}, "content_input", "Null characters"),
        ({"content_input": "a\tb"}, "content_input", "characters that are not accepted"),
        ({"style_input": "content"}, "style_input", "same name"),
        ({"style_input": "s\u0085t"}, "style_input", "characters that are not accepted"),
        ({"input_range": "0..2"}, "input_range", "Select a valid choice"),
        ({"input_range": LEFT_OUT}, "input_range", "required"),
        ({"output_range": ""}, "output_range", "required"),
        ({"channel_order": "GBR"}, "channel_order", "Select a valid choice"),
        ({"size_rule": "any"}, "size_rule", "Select a valid choice"),
        ({"multiple_of": ""}, "multiple_of", "required"),
        ({"multiple_of": "0"}, "multiple_of", "greater than or equal to 1"),
        ({"multiple_of": "65"}, "multiple_of", "less than or equal to 64"),
        ({"multiple_of": "four"}, "multiple_of", "whole number"),
        ({"size_rule": "fixed", "fixed_height": "32"}, "fixed_width", "required"),
        (
            {"size_rule": "fixed", "fixed_height": "9000", "fixed_width": "32"},
            "fixed_height",
            "less than or equal to 8192",
        ),
        (
            {"size_rule": "fixed", "fixed_height": "64", "fixed_width": "32"},
            "fixed_height",
            "have 32 by 32 pixels: a generator for 64 by 32 only",
        ),
    ],
)
def test_a_bad_value_is_told_beside_its_field(
    sender: Sender, fields: dict[str, Any], field: str, words: str
) -> None:
    refused(sender.send(**fields), 400, field, words)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"architecture": ""}, "architecture", "required"),
        ({"architecture": "my_net"}, "architecture", "Select a valid choice"),
        ({"transformer_net_width": ""}, "transformer_net_width", "required"),
        ({"transformer_net_width": "129"}, "transformer_net_width", "less than or equal to 128"),
        ({"transformer_net_width": "1.5"}, "transformer_net_width", "whole number"),
        (
            {"architecture": "resnet_generator", "resnet_generator_blocks": "7"},
            "resnet_generator_blocks",
            "Select a valid choice",
        ),
    ],
)
def test_a_bad_parameter_is_told_beside_its_field(
    sender: Sender, fields: dict[str, Any], field: str, words: str
) -> None:
    weights: dict[str, Any] = {
        "format": "safetensors",
        "architecture": "transformer_net",
        "transformer_net_width": "16",
        "resnet_generator_width": "64",
        "resnet_generator_blocks": "9",
    }
    refused(sender.send(make_upload(SAFETENSORS), **{**weights, **fields}), 400, field, words)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ('{"format": "onnx"}', "input_range: This is missing."),
        (json.dumps({**MANIFEST, "extra": 1}), "extra: A manifest has no such field"),
        (json.dumps({**MANIFEST, "format": "safetensors"}), "needs an architecture"),
        (
            json.dumps({**MANIFEST, "format": "safetensors", "architecture": "my_net"}),
            "my_net is not known here",
        ),
        ("{" + "x" * 70_000, "at most 65536 characters"),
    ],
)
def test_a_bad_manifest_is_told_beside_the_field_it_was_pasted_into(
    sender: Sender, manifest: str, words: str
) -> None:
    refused(sender.send(manifest=manifest), 400, "manifest", words)


# --- The file -------------------------------------------------------------------------------------
def test_without_a_file_the_form_asks_for_one(sender: Sender) -> None:
    refused(sender.send(checkpoint=LEFT_OUT), 400, "checkpoint", "Choose the generator")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (b"just some words that are no checkpoint", "neither safetensors nor ONNX"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 50, "a picture"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x80\x02}q\x00.", "can run code when opened"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_told_at_the_file(
    sender: Sender, content: bytes, words: str
) -> None:
    refused(sender.send(make_upload(content)), 400, "checkpoint", words)


def test_a_file_of_the_other_format_is_told_at_the_format(sender: Sender) -> None:
    response = sender.send(make_upload(SAFETENSORS))
    refused(response, 400, "format", "says onnx, but the file is safetensors")


def test_too_large_a_file_is_refused_without_being_stored(enter: Enter) -> None:
    sender = enter(max_checkpoint_bytes=100_000)
    response = sender.send(make_upload(b"\x08\x08:" + b"x" * 300_000), content_input="picture")
    refused(response, 413, "checkpoint", "larger than this phase takes")
    # What came after the file in the request was read all the same.
    assert response.context["form"]["content_input"].value() == "picture"


def test_the_size_is_counted_over_all_files_of_a_request(enter: Enter) -> None:
    sender = enter(max_checkpoint_bytes=100_000)
    more = SimpleUploadedFile("more.onnx", b"x" * 99_000)
    refused(sender.send(more=more, checkpoint=make_upload(b"x" * 99_000)), 413, "checkpoint", "")


def test_the_same_file_again_links_to_the_first(sender: Sender) -> None:
    content = make_onnx()
    assert sender.send(make_upload(content)).status_code == 302
    first = Submission.objects.get()
    response = sender.send(make_upload(content))
    assert response.status_code == 409
    assert "submitted this file" in errors_of(response)["checkpoint"][0]
    assert f'<a href="{first.get_absolute_url()}">' in response.content.decode()


# --- Whether one may ------------------------------------------------------------------------------
def test_a_visitor_logs_in_first_and_comes_back(sender: Sender) -> None:
    response = Client().get(sender.url)
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('account_login')}?next={sender.url}"
    assert Client().post(sender.url, FIELDS).status_code == 302


def test_who_has_not_joined_gets_a_link_to_join_instead_of_the_form(sender: Sender) -> None:
    stranger = Client()
    stranger.force_login(make_user())
    page = stranger.get(sender.url)
    assert page.status_code == 200
    assert reverse("join", args=[sender.phase.competition.slug]) in page.content.decode()
    assert 'type="file"' not in page.content.decode()
    response = stranger.post(sender.url, {**FIELDS, "checkpoint": make_upload()})
    assert response.status_code == 403
    assert "Join the competition" in response.content.decode()
    assert not stored_files()


@pytest.mark.parametrize(
    ("opens_in", "closes_in", "words"), [(-2, -1, "It closed on"), (1, 2, "It opens in about")]
)
def test_a_phase_that_is_not_open_says_when(
    enter: Enter, opens_in: int, closes_in: int, words: str
) -> None:
    opens_at, closes_at = (now() + timedelta(hours=hours) for hours in (opens_in, closes_in))
    sender = enter(opens_at=opens_at, closes_at=closes_at)
    page = sender.get()
    assert page.status_code == 200
    assert words in page.content.decode()
    assert "disabled" in page.content.decode()
    refused(sender.send(), 403, "", "phase")


def test_a_phase_of_a_draft_is_not_there(enter: Enter) -> None:
    sender = enter(make_phase(competition=make_competition(published_at=None)))
    assert sender.get().status_code == 404
    assert sender.send().status_code == 404


def test_a_spent_quota_says_when_the_next_may_come(enter: Enter) -> None:
    sender = enter(quota_per_day=1)
    made_at = now() - timedelta(hours=20)
    make_submission(
        phase=sender.phase, team=sender.team, status=Status.SCORED, created_at=made_at
    ).checkpoint.delete()
    page = sender.get().content.decode()
    assert "used its submissions of the last 24 hours" in page
    assert "The next one may come in about 4 hours" in page
    assert f'datetime="{(made_at + timedelta(hours=24)).isoformat(timespec="seconds")}"' in page
    assert "<strong>0</strong> of 1" in page
    assert "disabled" in page
    refused(sender.send(), 429, "", "last 24 hours")


def test_members_of_a_team_see_the_same_quota(enter: Enter) -> None:
    sender = enter(quota_per_day=3, quota_total=7)
    assert sender.send().status_code == 302
    page = sender.get().content.decode()
    for left, limit in ((2, 3), (6, 7), (1, 2)):
        assert f"<strong>{left}</strong> of {limit}" in page


def test_uploads_by_page_and_by_program_count_together(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"upload": "2/hour", "user": "100/min", "anon": "100/min"}
    monkeypatch.setattr("submissions.api.UploadThrottle.THROTTLE_RATES", rates)
    address = reverse("api-phase-submissions", args=[sender.phase.pk])
    program = client_for(sender.user)
    assert program.post(address, make_body(), format="multipart").status_code == 201
    assert sender.send(checkpoint=make_upload(b"bad")).status_code == 400
    response = sender.send(content_input="kept")
    assert response.status_code == 429
    assert "Too many uploads" in errors_of(response)[""][0]
    assert 0 < int(response["Retry-After"]) <= 3600
    assert response.context["form"]["content_input"].value() == "kept"
    assert sender.get().status_code == 200


def test_a_disk_that_is_full_is_told_in_words(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._save", fail)
    refused(sender.send(), 503, "", "could not be stored")


def test_a_busy_database_is_told_in_words(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("submissions.quota.lock", fail)
    refused(sender.send(), 503, "", "database is busy")


# --- The form itself ------------------------------------------------------------------------------
def test_what_was_filled_in_stays_but_for_the_file(sender: Sender) -> None:
    response = sender.send(make_upload(b"bad"), content_input="picture", input_range="imagenet")
    text = response.content.decode()
    assert 'value="picture"' in text
    assert '<option value="imagenet" selected>' in text
    assert "a browser does not keep it" in text
    assert 'aria-describedby="id_checkpoint_helptext id_checkpoint_error"' in text


def test_a_form_of_another_site_is_refused_whatever_its_size(enter: Enter) -> None:
    sender = enter(max_checkpoint_bytes=1000)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(sender.user)
    for size in (200, 900_000):
        body = {**FIELDS, "checkpoint": make_upload(b"x" * size)}
        assert strict.post(sender.url, body).status_code == 403
    assert not Submission.objects.exists()
    assert not stored_files()


def test_the_page_needs_no_more_than_the_parameters_of_a_form(sender: Sender) -> None:
    response = sender.client.post(sender.url, b"no form", content_type="multipart/form-data")
    assert response.status_code == 400
