"""Disks that are full, storages that are away, writers that die, uploads that are left lying."""

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.utils.timezone import now
from pytest_django import Settings

from evaluation.sweeper import sweep
from submissions.models import Piece, Submission, Upload, UploadStatus
from submissions.uploads.hold import HOLD
from tests.uploading.sender import Sender, refused
from tests.uploads import make_body, make_onnx

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk with room for 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk can't be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def address_of(upload: Upload) -> str:
    return f"/api/v1/uploads/{upload.pk}/"


# --- Full -----------------------------------------------------------------------------------------
def test_a_full_disk_says_so_and_what_was_there_stays(
    sender: Sender, small_disk: Path, settings: Settings
) -> None:
    settings.MEDIA_ROOT = small_disk
    content = make_onnx(size=16_000) + bytes(70_000)
    address = sender.begun(len(content))
    sender.patch(address, content[:30_000], 0)
    answer = sender.patch(address, content[30_000:], 30_000)
    refused(answer, 507, "storage_full")
    assert int(answer["Retry-After"]) > 0
    assert sender.head(address)["Upload-Offset"] == "30000"
    assert Piece.objects.count() == 1
    assert sum(path.stat().st_size for path in small_disk.rglob("*") if path.is_file()) == 30_000


def test_a_disk_too_full_for_the_whole_keeps_the_pieces(
    sender: Sender, small_disk: Path, settings: Settings, stored: Callable[[], list[Path]]
) -> None:
    settings.MEDIA_ROOT = small_disk
    content = make_onnx(size=16_000) + bytes(24_000)
    address = sender.begun(len(content))
    sender.patch(address, content[:20_000], 0)
    refused(sender.patch(address, content[20_000:], 20_000), 507, "storage_full")
    upload = Upload.objects.get()
    assert (upload.status, upload.offset) == (UploadStatus.RECEIVING, len(content))
    assert upload.pieces.count() == 2
    assert not [path for path in stored() if path.suffix == ".bin"]
    refused(sender.submit(upload), 507, "storage_full")
    # Room was made: submitting it puts the file together.
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    assert sender.submit(upload).status_code == 201
    assert Submission.objects.get().checkpoint.read() == content


def test_a_full_disk_for_what_comes_in_says_so(
    sender: Sender, small_disk: Path, settings: Settings
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = small_disk
    address = sender.begun(100_000)
    refused(sender.patch(address, bytes(100_000), 0), 507, "storage_full")
    assert sender.head(address)["Upload-Offset"] == "0"
    assert list(small_disk.iterdir()) == []
    body = make_body(make_onnx(size=16_000) + bytes(100_000))
    url = f"/api/v1/phases/{sender.phase.pk}/submissions/"
    refused(sender.client.post(url, body, format="multipart"), 507, "storage_full")


# --- Away -----------------------------------------------------------------------------------------
def test_a_storage_that_is_away_loses_nothing(sender: Sender) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    sender.patch(address, content[:50], 0)
    root = Path(django_settings.MEDIA_ROOT)
    (root / "parts").rename(root / "aside")
    (root / "parts").write_text("a file where a folder should be")
    answer = sender.patch(address, content[50:], 50)
    refused(answer, 503, "storage_unavailable")
    assert int(answer["Retry-After"]) > 0
    assert sender.head(address)["Upload-Offset"] == "50"
    (root / "parts").unlink()
    (root / "aside").rename(root / "parts")
    assert sender.patch(address, content[50:], 50).status_code == 204
    assert Upload.objects.get().checkpoint.read() == content


# --- Writers that die -----------------------------------------------------------------------------
def test_while_one_writes_another_waits_and_may_go_on_when_it_fell_silent(sender: Sender) -> None:
    content = make_onnx()
    address = sender.begun(len(content))
    upload = Upload.objects.get()
    dead = uuid4()
    assert upload.take_hold(dead, lasting=HOLD)
    refused(sender.patch(address, content, 0), 423, "upload_locked")
    Upload.objects.update(held_until=now() - timedelta(seconds=1))
    assert sender.patch(address, content, 0).status_code == 204
    # It wakes up, and is shut out.
    assert not upload.change_held(dead, offset=3)


def test_a_writer_that_lost_its_hold_leaves_nothing_behind(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, stored: Callable[[], list[Path]]
) -> None:
    from submissions.uploads import receiving

    content = make_onnx()
    address = sender.begun(len(content))
    count_in = receiving._count_in

    def wake_up_late(*arguments: object) -> None:
        Upload.objects.update(holder=uuid4())  # another process took over meanwhile
        count_in(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as frozen:
        frozen.setattr(receiving, "_count_in", wake_up_late)
        refused(sender.patch(address, content, 0), 409, "upload_lost")
    assert not Piece.objects.exists()
    assert [path for path in stored() if path.is_file()] == []


def test_what_a_killed_writer_stored_is_removed_when_the_upload_ends(
    sender: Sender, stored: Callable[[], list[Path]]
) -> None:
    content = make_onnx()
    upload = sender.send(content, step=64)
    storage = Upload.checkpoint.field.storage
    for name in (f"parts/{upload.pk}/000000000000-dead", "checkpoints/2026/11/dead.bin"):
        path = Path(storage.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        Piece.objects.create(upload=upload, name=name, offset=0)
    Upload.objects.update(touched_at=now() - timedelta(minutes=2))
    sweep()
    (left,) = stored()
    assert left == Path(upload.checkpoint.path)
    assert not Piece.objects.exists()


# --- Left lying -----------------------------------------------------------------------------------
def test_what_is_not_gone_on_with_is_removed(
    sender: Sender, stored: Callable[[], list[Path]]
) -> None:
    address = sender.begun(100)
    sender.patch(address, bytes(50), 0)
    complete = sender.send(make_onnx())
    used = sender.send(make_onnx())
    assert sender.submit(used).status_code == 201
    Upload.objects.update(expires_at=now() - timedelta(seconds=1))
    sweep()
    (left,) = stored()
    assert left == Path(Submission.objects.get().checkpoint.path)
    complete.refresh_from_db()
    assert complete.status == UploadStatus.GONE
    used.refresh_from_db()
    assert used.status == UploadStatus.USED


def test_what_could_not_be_removed_is_tried_again(
    sender: Sender, stored: Callable[[], list[Path]]
) -> None:
    upload = sender.send(make_onnx())
    path = Path(upload.checkpoint.path)
    path.rename(path.with_suffix(".aside"))
    path.mkdir()
    (path / "file").touch()  # a folder that is not empty can't be removed
    assert sender.delete(address_of(upload)).status_code == 204
    (path / "file").unlink()
    path.rmdir()
    path.with_suffix(".aside").rename(path)
    sweep()
    assert stored() == [path]  # not yet: it was touched a moment ago
    Upload.objects.update(touched_at=now() - timedelta(minutes=2))
    sweep()
    assert stored() == []


def test_an_upload_is_remembered_for_a_week(sender: Sender) -> None:
    gone, used = sender.begun(10), sender.send(make_onnx())
    sender.delete(gone)
    sender.submit(used)
    Upload.objects.update(touched_at=now() - timedelta(days=6))
    sweep()
    assert Upload.objects.count() == 2
    Upload.objects.update(touched_at=now() - timedelta(days=8))
    sweep()
    assert not Upload.objects.exists()
    assert sender.head(gone).status_code == 404
    assert Submission.objects.get().checkpoint.read()
