import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.timezone import now
from rest_framework.test import APIClient

from submissions.models import Submission
from submissions.states import Status
from tests.api.conftest import Entrant, client_for
from tests.factories import make_competition, make_phase, make_submission, make_user
from tests.uploads import MANIFEST_JSON, make_body, make_onnx, make_upload

pytestmark = pytest.mark.django_db
Enter = Callable[..., Entrant]


def stored_files() -> list[Path]:
    return [path for path in Path(settings.MEDIA_ROOT).rglob("checkpoints/**/*") if path.is_file()]


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check a refusal: a problem document, nothing recorded, no file left."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert response["Content-Type"] == "application/problem+json"
    assert body["status"] == status
    assert body["title"]
    assert body["type"]
    assert len(body["detail"]) > 10
    assert "Traceback" not in response.text
    return body


def test_a_checkpoint_with_a_manifest_is_entered(entrant: Entrant) -> None:
    content = make_onnx()
    response = entrant.submit(make_body(content))
    assert response.status_code == 201, response.text
    body = response.json()
    submission = Submission.objects.get(pk=body["id"])
    assert body["status"] == "checking"
    assert body["manifest"] == json.loads(MANIFEST_JSON)
    assert body["sha256"] == submission.sha256
    assert body["queue_position"] is None
    assert body["created_at"]
    assert response["Location"] == body["links"]["self"]
    assert entrant.client.get(body["links"]["self"]).json()["id"] == body["id"]
    assert submission.team == entrant.team
    assert submission.submitted_by == entrant.user
    assert submission.checkpoint.read() == content
    assert "checkpoint" not in body


def test_the_manifest_may_be_a_file_too(entrant: Entrant) -> None:
    manifest = SimpleUploadedFile("manifest.json", MANIFEST_JSON.encode(), "application/json")
    response = entrant.submit({"checkpoint": make_upload(), "manifest": manifest})
    assert response.status_code == 201, response.text


def test_a_path_in_the_file_name_is_only_a_label(entrant: Entrant) -> None:
    body = make_body()
    body["checkpoint"].name = "../../etc/\u202epasswd"
    response = entrant.submit(body)
    assert response.json()["file_name"] == "passwd"
    (stored,) = stored_files()
    assert str(stored).endswith(str(Submission.objects.get().checkpoint.name))
    assert "passwd" not in stored.name


def test_without_a_token_nothing_is_taken(entrant: Entrant) -> None:
    response = APIClient().post(entrant.url, make_body(), format="multipart")
    refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Token")


def test_a_browser_session_is_no_substitute_for_a_token(entrant: Entrant) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(entrant.user)
    refused(browser.post(entrant.url, make_body(), format="multipart"), 401, "not_authenticated")


def test_someone_who_has_not_joined_is_refused(entrant: Entrant) -> None:
    response = client_for(make_user()).post(entrant.url, make_body(), format="multipart")
    refused(response, 403, "not_a_participant")


@pytest.mark.parametrize(("opens_in", "closes_in"), [(-2, -1), (1, 2)])
def test_a_phase_that_is_not_open_is_refused(enter: Enter, opens_in: int, closes_in: int) -> None:
    opens_at, closes_at = (now() + timedelta(hours=hours) for hours in (opens_in, closes_in))
    body = refused(
        enter(opens_at=opens_at, closes_at=closes_at).submit(make_body()), 403, "phase_closed"
    )
    assert body["opens_at"]
    assert body["closes_at"]


def test_a_phase_of_an_unpublished_competition_is_not_there(enter: Enter) -> None:
    entrant = enter(make_phase(competition=make_competition(published_at=None)))
    refused(entrant.submit(make_body()), 404, "not_found")
    refused(entrant.client.get(entrant.url), 404, "not_found")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"manifest": MANIFEST_JSON}, "checkpoint_missing"),
        ({"manifest": MANIFEST_JSON, "checkpoint": ""}, "checkpoint_missing"),
        ({"manifest": MANIFEST_JSON, "checkpoint": "not a file"}, "checkpoint_missing"),
    ],
)
def test_a_missing_or_blank_part_is_named(
    entrant: Entrant, parts: dict[str, Any], code: str
) -> None:
    body = {
        name: SimpleUploadedFile(name, part) if isinstance(part, bytes) else part
        for name, part in parts.items()
    }
    refused(entrant.submit(body), 400, code)
    assert not Submission.objects.exists()


@pytest.mark.parametrize("manifest", [None, "", " \n", b""])
def test_a_manifest_may_be_left_to_the_check(
    entrant: Entrant, manifest: str | bytes | None
) -> None:
    data = make_onnx()
    parts: dict[str, Any] = {"checkpoint": make_upload(data)}
    if manifest is not None:
        sent = SimpleUploadedFile("m", manifest) if isinstance(manifest, bytes) else manifest
        parts["manifest"] = sent
    made = entrant.submit(parts)
    assert made.status_code == 201, made.json()
    assert (made.json()["manifest"], made.json()["proposal"]) == ({"format": "onnx"}, None)
    again = refused(entrant.submit({"checkpoint": make_upload(data)}), 409, "duplicate")
    assert again["submission"] == made.json()["id"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"just some words that are no checkpoint", "not_a_checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 50, "not_a_checkpoint"),
        (b"PK\x03\x04" + b"\0" * 60, "format_refused"),
        (b"\x80\x02}q\x00.", "format_refused"),
        (b"\x10\0\0\0\0\0\0\0{" + b" " * 20, "format_mismatch"),
    ],
)
def test_a_file_that_cannot_be_a_checkpoint_is_refused(
    entrant: Entrant, content: bytes, code: str
) -> None:
    refused(entrant.submit(make_body(content)), 400, code)
    assert not Submission.objects.exists()
    assert not stored_files()


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ("NaN", ""),
        ("[" * 5000, ""),
        ('{"format": "onnx"}', "input_range"),
        (MANIFEST_JSON.replace("}", ', "extra": 1}', 1).replace('"0..1"', '"0..2"', 1), ""),
    ],
)
def test_a_bad_manifest_is_refused_with_the_fields_in_it(
    entrant: Entrant, manifest: str, field: str
) -> None:
    body = refused(
        entrant.submit({"checkpoint": make_upload(), "manifest": manifest}), 400, "bad_manifest"
    )
    assert any(each["field"].startswith(field) and each["detail"] for each in body["errors"])


def test_a_manifest_that_is_not_text_is_refused(entrant: Entrant) -> None:
    manifest = SimpleUploadedFile("m.json", b"\xff\xfe\x00{}")
    parts = {"checkpoint": make_upload(), "manifest": manifest}
    refused(entrant.submit(parts), 400, "bad_manifest")


@pytest.mark.parametrize("name", ["a\\u0000b", "\\ud800"])
def test_characters_that_no_database_stores_are_refused(entrant: Entrant, name: str) -> None:
    manifest = MANIFEST_JSON.replace('"name": "content"', f'"name": "{name}"')
    parts = {"checkpoint": make_upload(), "manifest": manifest}
    refused(entrant.submit(parts), 400, "bad_manifest")


def test_an_endless_manifest_is_refused(entrant: Entrant) -> None:
    manifest = SimpleUploadedFile("m.json", b" " * 70_000 + MANIFEST_JSON.encode())
    parts = {"checkpoint": make_upload(), "manifest": manifest}
    refused(entrant.submit(parts), 400, "bad_manifest")
    manifest = SimpleUploadedFile("m.json", MANIFEST_JSON.encode() + b" " * 70_000)
    parts = {"checkpoint": make_upload(), "manifest": manifest}
    refused(entrant.submit(parts), 400, "bad_manifest")


def test_an_architecture_nobody_knows_is_told_to_use_onnx(entrant: Entrant) -> None:
    body = make_body(format="safetensors", architecture="my_net")
    detail = refused(entrant.submit(body), 400, "unknown_architecture")["detail"]
    assert "ONNX" in detail
    assert "my_net" in detail


def test_a_file_larger_than_the_phase_takes_is_refused(enter: Enter) -> None:
    entrant = enter(max_checkpoint_bytes=100)
    body = refused(entrant.submit(make_body(make_onnx(size=101))), 413, "too_large")
    assert body["limit"] == 100
    assert body["size"] == 106
    assert not stored_files()


def test_the_same_file_again_is_a_conflict_that_names_the_first(entrant: Entrant) -> None:
    content = make_onnx()
    first = entrant.submit(make_body(content)).json()
    body = refused(entrant.submit(make_body(content)), 409, "duplicate")
    assert body["submission"] == first["id"]
    assert first["id"] in body["url"]
    assert len(stored_files()) == 1


def test_a_spent_quota_says_how_much_and_when_again(enter: Enter) -> None:
    entrant = enter(quota_per_day=2)
    hours = [23, 5]
    for age in hours:
        make_submission(
            phase=entrant.phase,
            team=entrant.team,
            status=Status.SCORED,
            created_at=now() - timedelta(hours=age),
        )
    response = entrant.submit(make_body())
    body = refused(response, 429, "quota_spent")
    assert body["limit"] == 2
    assert body["used"] == 2
    assert body["next_allowed_at"]
    assert 3500 < int(response["Retry-After"]) <= 3600
    assert len(stored_files()) == len(hours)


def test_too_many_at_once_may_try_again_soon(enter: Enter) -> None:
    entrant = enter(quota_concurrent=1)
    assert entrant.submit(make_body()).status_code == 201
    response = entrant.submit(make_body())
    body = refused(response, 429, "quota_spent")
    assert body["quota"] == "concurrent"
    assert body["next_allowed_at"] is None
    assert 0 < int(response["Retry-After"]) <= 60


def test_uploads_are_throttled_by_user(
    enter: Enter, monkeypatch: pytest.MonkeyPatch, entrant: Entrant
) -> None:
    rates = {"upload": "2/hour", "user": "100/min", "anon": "100/min"}
    monkeypatch.setattr("submissions.api.UploadThrottle.THROTTLE_RATES", rates)
    for _ in range(2):
        assert entrant.submit(make_body()).status_code == 201
    response = entrant.submit(make_body())
    refused(response, 429, "throttled")
    assert 0 < int(response["Retry-After"]) <= 3600
    assert entrant.client.get(entrant.url).status_code == 200
    assert enter(entrant.phase).submit(make_body()).status_code == 201


def test_another_kind_of_body_is_refused(entrant: Entrant) -> None:
    response = entrant.client.post(entrant.url, "<manifest/>", content_type="text/xml")
    refused(response, 415, "unsupported_media_type")


def test_a_broken_form_is_refused(entrant: Entrant) -> None:
    response = entrant.client.post(entrant.url, b"no form", content_type="multipart/form-data")
    refused(response, 400, "parse_error")


# --- Files made by others -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        "transformernet_nc16_mosaic_dynamic.onnx",
        "transformernet_nc16_candy_256x256.onnx",
        "microast_dynamic.onnx",
    ],
)
def test_generators_that_others_exported_are_taken(
    entrant: Entrant, real_inputs: Path, name: str
) -> None:
    content = (real_inputs / "checkpoints" / name).read_bytes()
    assert entrant.submit(make_body(content)).status_code == 201


def test_a_program_instead_of_weights_is_told_what_to_send(
    entrant: Entrant, real_inputs: Path
) -> None:
    content = (
        real_inputs / "checkpoints" / "transformernet_nc16_mosaic.torchscript.pt"
    ).read_bytes()
    body = make_body(content, format="state_dict", architecture="transformer_net")
    detail = refused(entrant.submit(body), 400, "format_refused")["detail"]
    assert "safetensors" in detail


def test_weights_of_a_network_nobody_knows_are_told_to_use_onnx(
    entrant: Entrant, real_inputs: Path
) -> None:
    content = (real_inputs / "checkpoints" / "fst_scream.safetensors").read_bytes()
    body = make_body(content, format="safetensors", architecture="fast_style_transfer")
    detail = refused(entrant.submit(body), 400, "unknown_architecture")["detail"]
    assert "ONNX" in detail
