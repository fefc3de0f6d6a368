"""The same acts with an S3-compatible server in the place of the folder, over real HTTP."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils.timezone import now
from pytest_django import Settings

from evaluation.stored_checkpoint import local_copy
from evaluation.sweeper import sweep
from submissions.models import Submission, Upload
from submissions.uploads import receiving
from tests.deployment import free_port
from tests.factories import make_phase, make_png, make_scored_submission
from tests.object_storage import point_to, use_object_storage
from tests.uploading.sender import Sender, refused
from tests.uploads import make_body, make_onnx

pytestmark = pytest.mark.django_db
MIB = 2**20


@pytest.fixture
def bucket(s3_url: str, settings: Settings) -> Any:
    """Use an empty bucket for all files; return it."""
    return use_object_storage(settings, s3_url)


def names(bucket: Any) -> list[str]:
    found = [each.key for each in bucket.objects.all()]
    return [name for name in found if "checkpoints" in name or "parts" in name]


def test_a_file_in_pieces_ends_as_one_object(
    bucket: Any, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "PIECE_BYTES", 5 * MIB)
    content = make_onnx() + bytes(20 * MIB)  # more than a part of a multipart upload
    upload = sender.send(content, step=11 * MIB)
    assert upload.sha256 == hashlib.sha256(content).hexdigest()
    assert names(bucket) == [f"site/{upload.checkpoint.name}"]
    answer = sender.submit(upload)
    assert answer.status_code == 201, answer.content
    with local_copy(Submission.objects.get()) as path:
        assert path.read_bytes() == content


def test_a_form_with_the_whole_file_works_as_well(bucket: Any, sender: Sender) -> None:
    content = make_onnx()
    url = f"/api/v1/phases/{sender.phase.pk}/submissions/"
    first = sender.client.post(url, make_body(content), format="multipart")
    assert first.status_code == 201
    assert Submission.objects.get().checkpoint.read() == content
    assert sender.client.post(url, make_body(content), format="multipart").status_code == 409
    assert len(names(bucket)) == 1


def test_what_is_given_up_or_expires_is_removed_from_the_bucket(
    bucket: Any, sender: Sender
) -> None:
    address = sender.begun(100)
    sender.patch(address, bytes(50), 0)
    sender.send(make_onnx())
    assert len(names(bucket)) == 2
    assert sender.delete(address).status_code == 204
    assert len(names(bucket)) == 1
    Upload.objects.update(expires_at=now() - timedelta(seconds=1))
    sweep()
    assert names(bucket) == []


def test_while_the_storage_is_away_nothing_is_recorded(
    bucket: Any, s3_url: str, sender: Sender, settings: Settings
) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    sender.patch(address, content[:50], 0)
    point_to(settings, f"http://127.0.0.1:{free_port()}")
    answer = sender.patch(address, content[50:], 50)
    refused(answer, 503, "storage_unavailable")
    assert int(answer["Retry-After"]) > 0
    url = f"/api/v1/phases/{sender.phase.pk}/submissions/"
    whole = sender.client.post(url, make_body(), format="multipart")
    refused(whole, 503, "storage_unavailable")
    assert not Submission.objects.exists()
    point_to(settings, s3_url)
    assert sender.head(address)["Upload-Offset"] == "50"
    assert sender.patch(address, content[50:], 50).status_code == 204
    assert Upload.objects.get(file_name="g.onnx", status="complete").checkpoint.read() == content


def test_parts_of_a_writer_that_was_killed_are_removed(bucket: Any) -> None:
    begun = bucket.Object("site/checkpoints/dead.bin").initiate_multipart_upload()
    begun.Part(1).upload(Body=bytes(5 * MIB))
    remove = default_storage.remove_broken_parts  # type: ignore[attr-defined]
    # This server says of every one that it was begun in 2010.
    assert remove(begun_before=now() - timedelta(days=365 * 30)) == 0
    cache.clear()  # the sweeper looks once an hour
    sweep()
    assert list(bucket.multipart_uploads.all()) == []


def test_pictures_are_shown_from_the_bucket(bucket: Any, client: Any) -> None:
    phase = make_phase()
    submission = make_scored_submission(phase=phase)
    output = submission.runs.get().outputs.earliest("pair__position")
    picture = make_png(5)
    output.file.save("made.png", ContentFile(picture))
    output.thumbnail.save("made.webp", ContentFile(picture))
    for route in ("output", "output-thumbnail"):
        answer = client.get(reverse(route, args=[submission.pk, 0]))
        assert answer.status_code == 200
        assert b"".join(answer.streaming_content) == picture
    assert client.get(reverse("pairs-zip", args=[phase.pk])).status_code == 200


def test_a_file_that_is_not_there_is_missed_as_in_a_folder(bucket: Any) -> None:
    with pytest.raises(FileNotFoundError):
        default_storage.open("nowhere.bin")
    with pytest.raises(FileNotFoundError):
        default_storage.size("nowhere.bin")
    assert not default_storage.exists("nowhere.bin")
    default_storage.delete("nowhere.bin")
