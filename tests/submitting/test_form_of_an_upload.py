"""The form that comes after the file: it names an upload in the place of the file."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http.response import HttpResponseBase
from pytest_django import Settings

from submissions.models import Submission, Upload
from submissions.throttles import UploadThrottle
from tests.api.conftest import client_for
from tests.submitting.conftest import FIELDS, Sender, errors_of
from tests.uploading import sender as tus
from tests.uploads import make_onnx

pytestmark = pytest.mark.django_db


def upload_by(sender: Sender, content: bytes) -> Upload:
    return tus.Sender(sender.user, sender.phase, client_for(sender.user)).send(content)


def post(sender: Sender, upload: object, **fields: object) -> HttpResponseBase:
    named = upload.pk if isinstance(upload, Upload) else upload
    return sender.client.post(f"{sender.url}?upload={named}", {**FIELDS, **fields})


def test_an_upload_is_submitted_by_the_form(sender: Sender) -> None:
    content = make_onnx()
    answer = post(sender, upload_by(sender, content))
    submission = Submission.objects.get()
    assert answer.headers["Location"] == submission.get_absolute_url()
    assert submission.sha256 == hashlib.sha256(content).hexdigest()


def test_a_field_that_is_wrong_costs_no_upload(sender: Sender) -> None:
    upload = upload_by(sender, make_onnx())
    answer = post(sender, upload, multiple_of="99")
    assert (answer.status_code, "X-Upload" in answer.headers) == (400, False)
    assert post(sender, upload).status_code == 302


def test_an_upload_that_is_over_is_told_at_the_file(sender: Sender) -> None:
    used = upload_by(sender, make_onnx())
    assert post(sender, used).status_code == 302
    gone = upload_by(sender, make_onnx())
    assert gone.give_up()
    for upload, status, text in (
        (used, 409, "submitted already"),
        (gone, 410, "has expired"),
        (uuid4(), 400, "no such upload"),
        ("nonsense", 400, "no such upload"),
    ):
        answer = post(sender, upload)
        assert (answer.status_code, answer.headers["X-Upload"]) == (status, "over")
        assert text in str(errors_of(answer)["checkpoint"])  # type: ignore[arg-type]


def test_a_file_beside_a_named_upload_is_not_even_read(sender: Sender) -> None:
    file = SimpleUploadedFile("other.onnx", bytes(100))
    answer = post(sender, upload_by(sender, make_onnx()), checkpoint=file)
    assert answer.status_code == 413
    assert not Submission.objects.exists()


def test_what_was_counted_when_it_began_is_not_counted_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UploadThrottle, "THROTTLE_RATES", {"upload": "1/hour"})
    upload = upload_by(sender, make_onnx())
    assert post(sender, upload).status_code == 302
    assert sender.send().status_code == 429


@pytest.fixture
def full_disk(tmp_path: Path, settings: Settings) -> Iterator[None]:
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk can't be mounted here: {done.stderr.strip()}")
    settings.FILE_UPLOAD_TEMP_DIR = folder
    yield
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_where_there_is_no_room_the_form_says_so(sender: Sender, full_disk: None) -> None:
    answer = sender.send(SimpleUploadedFile("g.onnx", make_onnx(size=16_000) + bytes(100_000)))
    assert answer.status_code == 507
    assert "no room left" in str(errors_of(answer))
    assert not Submission.objects.exists()
