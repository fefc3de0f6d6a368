import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import OperationalError
from django.utils.timezone import now
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from competitions.errors import Conflict, Invalid, QuotaSpent, TooLarge, Unavailable
from competitions.models import Phase
from submissions import dispatch, services
from submissions.labels import make_label
from submissions.models import Submission
from submissions.states import MAY_BE_SENT_AGAIN, Status
from tests.factories import MANIFEST, make_phase, make_reference_set, make_team, make_user
from tests.uploads import MANIFEST_JSON, make_onnx, make_upload

pytestmark = pytest.mark.django_db


def submit(phase: Phase | None = None, content: bytes | None = None, **fields: Any) -> Submission:
    phase = phase or make_phase()
    user = fields.pop("user", None)
    if user is None:
        user = make_user()
        make_team(user, phase=phase)
    body = {"checkpoint": make_upload(content), "manifest": MANIFEST_JSON}
    return services.submit(by=user, phase=phase, **(body | fields))


def stored_files() -> list[Path]:
    root = Path(django_settings.MEDIA_ROOT)
    return [path for path in root.glob("checkpoints/**/*") if path.is_file()]


def test_a_submission_keeps_file_hash_and_a_manifest_written_out_in_full() -> None:
    content = make_onnx()
    brief = {"format": "onnx", "input_range": "0..1", "output_range": "0..1"}
    submission = submit(content=content, manifest=brief)
    submission.refresh_from_db()
    assert submission.checkpoint.read() == content
    assert submission.sha256 == hashlib.sha256(content).hexdigest()
    assert submission.size_bytes == len(content)
    assert submission.manifest["channel_order"] == "RGB"
    assert submission.manifest["architecture"] is None
    assert submission.status == Status.CHECKING


def test_the_first_submission_freezes_what_is_scored_against() -> None:
    draft = make_reference_set(is_frozen=False)
    submit(make_phase(reference_set=draft))
    draft.refresh_from_db()
    assert draft.frozen_at is not None
    assert len(draft.sha256) == 64
    with pytest.raises(ValidationError):
        draft.images.all()[0].delete()


def test_a_large_file_goes_from_disk_to_disk() -> None:
    upload = TemporaryUploadedFile("g.onnx", "application/octet-stream", 0, None)
    upload.write(content := make_onnx(size=16_000))
    upload.size = len(content)
    submission = submit(checkpoint=upload)
    assert submission.checkpoint.read() == content
    assert not Path(upload.temporary_file_path()).exists()


def test_equal_manifests_are_equal_however_they_are_written() -> None:
    phase, user, content = make_phase(), make_user(), make_onnx()
    make_team(user, phase=phase)
    submit(phase, content, user=user)
    with pytest.raises(Conflict):
        submit(phase, content, user=user, manifest=dict(sorted(MANIFEST.items(), reverse=True)))
    submit(phase, content, user=user, manifest={**MANIFEST, "channel_order": "BGR"})


@pytest.mark.parametrize("status", MAY_BE_SENT_AGAIN)
def test_a_file_that_came_to_nothing_may_be_sent_again(status: Status) -> None:
    phase, user, content = make_phase(), make_user(), make_onnx()
    make_team(user, phase=phase)
    first = submit(phase, content, user=user)
    code = "" if status == Status.CANCELLED else "too_slow"
    rows = Submission.objects.filter(pk=first.pk)
    if status == Status.FAILED:  # that takes a run
        rows.update(status=Status.QUEUED)
        rows.update(status=Status.RUNNING, lease_expires_at=now())
    rows.update(status=status, failure_code=code, lease_expires_at=None)
    assert submit(phase, content, user=user).pk != first.pk


def test_equal_files_of_different_teams_are_accepted() -> None:
    phase, content = make_phase(), make_onnx()
    assert submit(phase, content).sha256 == submit(phase, content).sha256


def test_a_duplicate_is_told_as_such_even_when_the_quota_is_spent() -> None:
    phase, user, content = make_phase(quota_per_day=1), make_user(), make_onnx()
    make_team(user, phase=phase)
    first = submit(phase, content, user=user)
    with pytest.raises(Conflict) as caught:
        submit(phase, content, user=user)
    assert caught.value.facts["submission"] == str(first.pk)
    with pytest.raises(QuotaSpent):
        submit(phase, user=user)


def test_a_refused_file_leaves_nothing_behind() -> None:
    small = make_phase(max_checkpoint_bytes=10)
    with pytest.raises(TooLarge):
        submit(small)
    with pytest.raises(Invalid):
        submit(content=b"nonsense")
    with pytest.raises(Invalid):
        submit(manifest="{}")
    assert not stored_files()
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("generator.onnx", "generator.onnx"),
        ("C:\\models\\my generator.onnx", "my generator.onnx"),
        ("/etc/passwd", "passwd"),
        ("../../x", "x"),
        ("a\x00b\r\nc\x1b[31m", "abc[31m"),
        ("gnp.\u202exnno", "gnp.xnno"),
        ("\ud800x", "x"),
        ("e\u0301.onnx", "é.onnx"),
        ("x" * 300, "x" * 100),
        ("模型.onnx", "模型.onnx"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("///", "unnamed"),
        ("\u200b", "unnamed"),
    ],
)
def test_a_file_name_becomes_a_harmless_label(name: str | None, label: str) -> None:
    assert make_label(name) == label


# --- When something breaks ----------------------------------------------------------------------
def break_in_the_middle(storage: Any, name: str, content: Any, **kwargs: Any) -> str:
    path = Path(storage.path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half of it")
    raise OSError(28, "No space left on device")


def test_a_disk_that_fills_up_leaves_neither_row_nor_file(monkeypatch: pytest.MonkeyPatch) -> None:
    phase = make_phase()
    target = "django.core.files.storage.filesystem.FileSystemStorage.save"
    monkeypatch.setattr(target, break_in_the_middle)
    with pytest.raises(Unavailable):
        submit(phase)
    assert not stored_files()
    assert not Submission.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_trouble_with_the_message_never_undoes_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(dispatch, "send", fail)
    submission = submit()
    assert Submission.objects.get().pk == submission.pk
    assert len(stored_files()) == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_a_submission_waits_for_the_sweeper(
    settings: Settings, tmp_path: Path
) -> None:
    from arena.celery import app as celery_app

    in_the_way = tmp_path / "broker"
    in_the_way.write_text("a file where a folder should be")
    options = {"data_folder_in": f"{in_the_way}/q", "data_folder_out": f"{in_the_way}/q"}
    app: Any = celery_app
    before = dict(app.conf.broker_transport_options)
    app.conf.broker_transport_options = {**before, **options}
    app._after_fork()  # forget the connections
    try:
        submission = submit()
    finally:
        app.conf.broker_transport_options = before
        app._after_fork()
    submission.refresh_from_db()
    assert submission.status == Status.CHECKING
    assert submission.dispatched_at is None


def test_the_check_is_asked_for_once_the_row_is_there(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        submission = submit()
    assert submission.dispatched_at is None
    assert len(callbacks) == 1
