"""The tus protocol as its specification words it."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.timezone import now
from pytest_django import Settings
from rest_framework.test import APIClient

from submissions.models import Upload, UploadStatus
from submissions.uploads import receiving
from tests.factories import make_user
from tests.uploading.sender import MEDIA_TYPE, TUS, Sender, checksum_of, refused
from tests.uploads import make_onnx

pytestmark = pytest.mark.django_db


# --- Core -----------------------------------------------------------------------------------------
def test_a_file_arrives_in_pieces_and_every_answer_says_how_far_it_is(sender: Sender) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    first = sender.patch(address, content[:50], 0)
    assert (first.status_code, first["Upload-Offset"]) == (204, "50")
    assert first["Tus-Resumable"] == "1.0.0"
    head = sender.head(address)
    assert (head.status_code, head["Upload-Offset"]) == (200, "50")
    assert head["Upload-Length"] == str(len(content))
    assert head["Cache-Control"] == "no-store"
    last = sender.patch(address, content[50:], 50)
    assert last["Upload-Offset"] == str(len(content))
    told = sender.client.get(address).json()
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert (told["status"], told["file_name"]) == ("complete", "g.onnx")
    upload = Upload.objects.get()
    assert upload.checkpoint.read() == content
    assert not upload.pieces.exists()


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_of_the_protocol_is_refused(sender: Sender, method: str) -> None:
    address = sender.begun(10)
    if method == "POST":
        address = f"/api/v1/phases/{sender.phase.pk}/uploads/"
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        answer = sender.client.generic(method, address, headers=version)
        assert answer.status_code == 412
        assert answer["Tus-Version"] == "1.0.0"
    assert Upload.objects.get().offset == 0


def test_the_endpoint_says_what_it_speaks(sender: Sender) -> None:
    answer = sender.client.options(sender.begun(10))
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Extension"] == "creation,checksum,expiration,termination"
    assert answer["Tus-Checksum-Algorithm"] == "sha256,sha1"


def test_bytes_go_where_the_last_ones_ended_and_nowhere_else(sender: Sender) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    sender.patch(address, content[:50], 0)
    for offset in (0, 49, 51):
        body = refused(sender.patch(address, content[50:], offset), 409, "offset_mismatch")
        assert body["offset"] == 50
    assert sender.head(address)["Upload-Offset"] == "50"


def test_more_than_was_announced_is_refused(sender: Sender) -> None:
    address = sender.begun(10)
    refused(sender.patch(address, bytes(11), 0), 413, "beyond_length")
    sender.patch(address, bytes(4), 0)
    refused(sender.patch(address, bytes(7), 4), 413, "beyond_length")
    assert sender.head(address)["Upload-Offset"] == "4"


def test_another_kind_of_body_is_refused(sender: Sender) -> None:
    address = sender.begun(10)
    headers = {"Upload-Offset": "0", **TUS}
    answer = sender.client.generic("PATCH", address, "0123456789", "text/plain", headers=headers)
    refused(answer, 415, "unsupported_media_type")
    assert sender.head(address)["Upload-Offset"] == "0"


@pytest.mark.parametrize("offset", ["", "-1", "x", "1.5", "٣", "9" * 30])
def test_an_offset_that_is_no_number_is_refused(sender: Sender, offset: str) -> None:
    address = sender.begun(10)
    answer = sender.patch(address, b"0", offset)
    refused(answer, 400, "bad_header")


def test_a_body_that_breaks_off_is_kept_as_far_as_it_came(sender: Sender) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    cut = sender.patch(address, content, 0, line=io.BytesIO(content[:70]))
    refused(cut, 400, "upload_interrupted")
    assert sender.head(address)["Upload-Offset"] == "70"
    sender.patch(address, content[70:], 70)
    assert Upload.objects.get().sha256 == hashlib.sha256(content).hexdigest()


def test_one_long_body_becomes_several_pieces(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "PIECE_BYTES", 64)
    content = make_onnx()
    address = sender.begun(len(content) + 1)
    sender.patch(address, content, 0)
    upload = Upload.objects.get()
    sizes = list(upload.pieces.order_by("offset").values_list("size", flat=True))
    assert sizes == [64, 64, 64, len(content) - 192]
    sender.patch(address, b".", len(content))
    upload.refresh_from_db()
    assert upload.sha256 == hashlib.sha256(content + b".").hexdigest()
    assert upload.checkpoint.read() == content + b"."


def test_a_byte_at_a_time_comes_to_an_end(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MOST_PIECES", 3)
    address = sender.begun(10)
    for offset in range(3):
        assert sender.patch(address, b"0", offset).status_code == 204
    refused(sender.patch(address, b"0", 3), 413, "too_many_pieces")


# --- Creation -------------------------------------------------------------------------------------
def test_an_upload_expects_a_length_and_metadata_that_can_be_read(sender: Sender) -> None:
    address = f"/api/v1/phases/{sender.phase.pk}/uploads/"
    refused(sender.client.post(address, headers=TUS), 400, "bad_header")
    for metadata in ("filename !!!", "sha256 YWJj"):
        headers = {"Upload-Length": "9", "Upload-Metadata": metadata, **TUS}
        refused(sender.client.post(address, headers=headers), 400, "bad_header")
    refused(sender.begin(0), 400, "empty_file")
    assert not Upload.objects.exists()


def test_a_file_name_is_a_label_and_never_a_path(sender: Sender) -> None:
    sender.begun(10, filename="../../etc/\u202epasswd\n" + "x" * 200)
    label = Upload.objects.get().file_name
    assert label.startswith("passwdxxx")
    assert len(label) == 100


# --- Checksum -------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_bytes_that_were_damaged_on_the_way_are_not_kept(sender: Sender, algorithm: str) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    wrong = checksum_of(b"other", algorithm)
    answer = sender.patch(address, content, 0, Upload_Checksum=wrong)
    refused(answer, 460, "checksum_mismatch")
    assert sender.head(address)["Upload-Offset"] == "0"
    right = checksum_of(content, algorithm)
    assert sender.patch(address, content, 0, Upload_Checksum=right).status_code == 204


@pytest.mark.parametrize("checksum", ["md5 AAAA", "sha256", "sha256 %%%", "crc32 AAAA"])
def test_a_checksum_that_cannot_be_read_is_refused(sender: Sender, checksum: str) -> None:
    address = sender.begun(10)
    answer = sender.patch(address, bytes(10), 0, Upload_Checksum=checksum)
    if checksum == "sha256":  # an empty digest is read, and matches nothing
        refused(answer, 460, "checksum_mismatch")
    else:
        refused(answer, 400, "bad_header")


def test_a_file_that_is_not_the_announced_one_is_given_up(
    sender: Sender, stored: Callable[[], list[object]]
) -> None:
    content = make_onnx()
    expected = hashlib.sha256(b"another").hexdigest()
    address = sender.begun(len(content), sha256=expected)
    body = refused(sender.patch(address, content, 0), 460, "hash_mismatch")
    assert (body["expected"], body["found"]) == (expected, hashlib.sha256(content).hexdigest())
    refused(sender.patch(address, content, 0), 410, "upload_gone")
    assert stored() == []


# --- Termination and expiration -------------------------------------------------------------------
def test_an_upload_that_was_given_up_is_gone_with_its_bytes(
    sender: Sender, stored: Callable[[], list[object]]
) -> None:
    address = sender.begun(10)
    sender.patch(address, bytes(5), 0)
    assert len(stored()) == 1
    assert sender.delete(address).status_code == 204
    assert stored() == []
    for answer in (sender.head(address), sender.patch(address, bytes(5), 5)):
        assert answer.status_code == 410
    refused(sender.delete(address), 410, "upload_gone")
    assert Upload.objects.get().status == UploadStatus.GONE


def test_an_upload_that_rests_too_long_is_gone(sender: Sender, settings: Settings) -> None:
    settings.UPLOAD_EXPIRES_AFTER = timedelta(hours=3)
    answer = sender.begin(10)
    expires_at = parsedate_to_datetime(answer["Upload-Expires"])
    assert timedelta(hours=2.9) < expires_at - now() <= timedelta(hours=3)
    Upload.objects.update(expires_at=now() - timedelta(seconds=1))
    assert sender.head(answer["Location"]).status_code == 410
    refused(sender.patch(answer["Location"], bytes(5), 0), 410, "upload_gone")


def test_each_piece_puts_the_end_off(sender: Sender) -> None:
    address = sender.begun(10)
    Upload.objects.update(expires_at=now() + timedelta(minutes=1))
    sender.patch(address, bytes(5), 0)
    assert Upload.objects.get().expires_at > now() + timedelta(hours=23)


# --- Who may --------------------------------------------------------------------------------------
def test_an_upload_is_there_for_its_owner_only(
    sender: Sender, enter: Callable[..., Sender]
) -> None:
    address = sender.begun(10)
    other = enter(sender.phase)
    administrator = make_user(is_superuser=True, is_staff=True)
    for client in (other.client, _as(administrator)):
        stranger = Sender(administrator, sender.phase, client)
        assert stranger.head(address).status_code == 404
        refused(stranger.client.get(address), 404, "not_found")
        refused(stranger.patch(address, bytes(5), 0), 404, "not_found")
        refused(stranger.delete(address), 404, "not_found")
    assert sender.head(f"/api/v1/uploads/{uuid4()}/").status_code == 404
    assert other.client.get(f"/api/v1/phases/{sender.phase.pk}/uploads/").json()["results"] == []
    assert sender.head(address)["Upload-Offset"] == "0"


def _as(user: object) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)  # type: ignore[arg-type]
    return client


def test_nobody_uploads_without_being_known(sender: Sender) -> None:
    address = sender.begun(10)
    nobody = Sender(sender.user, sender.phase, APIClient())
    assert nobody.head(address).status_code == 401
    refused(nobody.patch(address, bytes(5), 0), 401, "not_authenticated")
    refused(nobody.begin(10), 401, "not_authenticated")


def test_a_browser_shows_that_the_request_comes_from_a_page_of_the_site(sender: Sender) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(sender.user)
    page = browser.get(f"/phases/{sender.phase.pk}/submit/")
    token = str(page.context["csrf_token"])
    begin = f"/api/v1/phases/{sender.phase.pk}/uploads/"
    headers, proof = {"Upload-Length": "10", **TUS}, {"X-CSRFToken": token}
    refused(browser.post(begin, headers=headers), 403, "permission_denied")
    answer = browser.post(begin, headers={**headers, **proof})
    assert answer.status_code == 201
    address = answer.headers["Location"]
    piece = {"Upload-Offset": "0", **TUS}
    answer = browser.patch(address, bytes(9), MEDIA_TYPE, headers=piece)
    refused(answer, 403, "permission_denied")
    answer = browser.patch(address, bytes(9), MEDIA_TYPE, headers={**piece, **proof})
    assert answer.status_code == 204
    refused(browser.delete(address, headers=TUS), 403, "permission_denied")
    assert browser.head(address, headers=TUS).headers["Upload-Offset"] == "9"
