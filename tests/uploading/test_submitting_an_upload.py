"""From an upload that is complete to a submission; and what may be under way before that."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils.timezone import now
from pytest_django import Settings

from submissions.models import Submission, Upload, UploadStatus
from submissions.states import Status
from tests.factories import make_phase, make_submission, make_team
from tests.uploading.sender import Sender, refused
from tests.uploads import MANIFEST_JSON, make_body, make_onnx

pytestmark = pytest.mark.django_db


def test_an_upload_becomes_a_submission_without_being_copied(
    sender: Sender, stored: Callable[[], list[Path]]
) -> None:
    content = make_onnx()
    upload = sender.send(content, step=64)
    (before,) = stored()
    answer = sender.submit(upload)
    assert answer.status_code == 201, answer.content
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert stored() == [before]
    submission = Submission.objects.get()
    assert submission.checkpoint.read() == content
    assert (submission.file_name, submission.size_bytes) == ("g.onnx", len(content))
    assert (submission.status, submission.submitted_by) == (Status.CHECKING, sender.user)
    upload.refresh_from_db()
    assert (upload.status, upload.submission) == (UploadStatus.USED, submission)


def test_an_upload_is_submitted_once(sender: Sender) -> None:
    upload = sender.send(make_onnx())
    first = sender.submit(upload).json()
    body = refused(sender.submit(upload, channel_order="BGR"), 409, "upload_used")
    assert body["submission"] == first["id"]
    address = f"/api/v1/uploads/{upload.pk}/"
    assert sender.client.get(address).json()["submission"] == first["id"]
    refused(sender.delete(address), 409, "upload_used")
    refused(sender.patch(address, b".", upload.length), 409, "upload_used")
    assert Submission.objects.get().checkpoint.read()


def test_a_manifest_that_does_not_fit_costs_no_upload(sender: Sender) -> None:
    upload = sender.send(make_onnx())
    refused(sender.submit(upload, input_range="0..7"), 400, "bad_manifest")
    refused(sender.submit(upload, size={"multiple_of": 99}), 400, "bad_manifest")
    weights = {"format": "safetensors", "architecture": "transformer_net"}
    refused(sender.submit(upload, **weights), 400, "format_mismatch")
    assert sender.submit(upload).status_code == 201


def test_what_is_no_checkpoint_is_told_when_it_is_submitted(sender: Sender) -> None:
    upload = sender.send(b"words, words, words")
    body = refused(sender.submit(upload), 400, "not_a_checkpoint")
    assert "text" in body["detail"]
    assert not Submission.objects.exists()


def test_the_same_file_with_the_same_manifest_is_refused_either_way(sender: Sender) -> None:
    content = make_onnx()
    body = make_body(content)
    address = f"/api/v1/phases/{sender.phase.pk}/submissions/"
    first = sender.client.post(address, body, format="multipart")
    assert first.status_code == 201
    again = sender.send(content)
    told = refused(sender.submit(again), 409, "duplicate")
    assert told["submission"] == first.json()["id"]
    # The upload is still there, for another manifest.
    assert sender.submit(again, channel_order="BGR").status_code == 201


def test_an_unfinished_upload_is_not_submitted(sender: Sender) -> None:
    address = sender.begun(10)
    sender.patch(address, bytes(4), 0)
    body = refused(sender.submit(Upload.objects.get()), 409, "upload_unfinished")
    assert body["offset"] == 4
    assert not Submission.objects.exists()


def test_an_upload_is_used_by_its_owner_for_its_phase_only(
    sender: Sender, enter: Callable[..., Sender]
) -> None:
    upload = sender.send(make_onnx())
    teammate = enter(sender.phase)
    refused(teammate.submit(upload), 400, "unknown_upload")
    elsewhere = Sender(sender.user, make_phase(), sender.client)
    make_team(sender.user, phase=elsewhere.phase)
    refused(elsewhere.submit(upload), 400, "unknown_upload")
    url = f"/api/v1/phases/{sender.phase.pk}/submissions/"
    bodies: tuple[Any, ...] = ({}, {"upload": "x"}, {"upload": str(uuid4())}, [], {"upload": 3})
    for body in bodies:
        answer = sender.client.post(url, json.dumps(body), content_type="application/json")
        refused(answer, 400, "unknown_upload")
    named = json.dumps({"upload": str(upload.pk), "manifest": {}})
    refused(sender.client.post(url, named, content_type="application/json"), 400, "bad_manifest")
    refused(sender.client.post(url, "{", content_type="application/json"), 400, "parse_error")
    text = json.dumps({"upload": str(upload.pk), "manifest": MANIFEST_JSON})
    assert sender.client.post(url, text, content_type="application/json").status_code == 201


# --- Refused before a byte is sent ----------------------------------------------------------------
def test_a_closed_phase_takes_no_upload(enter: Callable[..., Sender]) -> None:
    past = now() - timedelta(days=1)
    closed = enter(opens_at=past - timedelta(days=1), closes_at=past)
    refused(closed.begin(10), 403, "phase_closed")


def test_who_has_not_joined_takes_no_part(enter: Callable[..., Sender]) -> None:
    outsider = enter(has_joined=False)
    refused(outsider.begin(10), 403, "not_a_participant")


def test_a_file_too_large_is_refused_before_it_is_sent(enter: Callable[..., Sender]) -> None:
    sender = enter(max_checkpoint_bytes=100)
    body = refused(sender.begin(101), 413, "too_large")
    assert (body["limit"], body["size"]) == (100, 101)


def test_a_spent_quota_is_told_before_anything_is_sent(enter: Callable[..., Sender]) -> None:
    sender = enter(quota_per_day=1)
    team = sender.user.participations.get().team
    make_submission(phase=sender.phase, team=team, status=Status.SCORED)
    answer = sender.begin(10)
    body = refused(answer, 429, "quota_spent")
    assert body["next_allowed_at"]
    assert int(answer["Retry-After"]) > 0


def test_the_quota_is_asked_again_when_an_upload_is_submitted(
    enter: Callable[..., Sender],
) -> None:
    sender = enter(quota_per_day=1)
    first, second = sender.send(make_onnx()), sender.send(make_onnx())
    assert sender.submit(first).status_code == 201
    refused(sender.submit(second), 429, "quota_spent")
    second.refresh_from_db()
    assert second.status == UploadStatus.COMPLETE


def test_a_hidden_phase_is_not_there(enter: Callable[..., Sender]) -> None:
    sender = enter()
    type(sender.phase.competition).objects.update(published_at=None)
    refused(sender.begin(10), 404, "not_found")


# --- How much may be under way --------------------------------------------------------------------
def test_each_user_has_a_few_uploads_under_way_at_most(sender: Sender, settings: Settings) -> None:
    settings.UPLOADS_AT_ONCE = 2
    addresses = [sender.begun(10), sender.begun(10)]
    answer = sender.begin(10)
    body = refused(answer, 429, "too_many_uploads")
    assert (body["limit"], body["used"]) == (2, 2)
    assert int(answer["Retry-After"]) > 0
    assert sender.delete(addresses[0]).status_code == 204
    assert sender.begin(10).status_code == 201


def test_each_user_has_so_many_bytes_under_way_at_most(sender: Sender, settings: Settings) -> None:
    settings.UPLOAD_BYTES_AT_ONCE = 100
    sender.begun(60)
    refused(sender.begin(41), 429, "too_many_uploads")
    assert sender.begin(40).status_code == 201


def test_an_upload_that_rests_makes_room_for_another(sender: Sender, settings: Settings) -> None:
    settings.UPLOADS_AT_ONCE = 2
    resting, busy = sender.begun(10), sender.begun(10)
    Upload.objects.filter(pk=resting.split("/")[-2]).update(touched_at=now() - timedelta(hours=2))
    assert sender.begin(10).status_code == 201
    assert sender.head(resting).status_code == 410
    assert sender.head(busy).status_code == 200


def test_an_upload_in_pieces_counts_once_among_uploads(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from submissions.throttles import UploadThrottle

    monkeypatch.setattr(UploadThrottle, "THROTTLE_RATES", {"upload": "2/hour"})
    first = sender.send(make_onnx(), step=20)
    assert sender.submit(first).status_code == 201
    sender.send(make_onnx())
    refused(sender.begin(10), 429, "throttled")


def test_my_uploads_are_listed_until_they_are_submitted(sender: Sender) -> None:
    expected = hashlib.sha256(b"x").hexdigest()
    sender.begun(10, sha256=expected)
    done = sender.send(make_onnx())
    listed = sender.client.get(f"/api/v1/phases/{sender.phase.pk}/uploads/").json()["results"]
    assert [each["status"] for each in listed] == ["complete", "receiving"]
    assert listed[1]["expected_sha256"] == expected
    sender.submit(done)
    listed = sender.client.get(f"/api/v1/phases/{sender.phase.pk}/uploads/").json()["results"]
    assert [each["status"] for each in listed] == ["receiving"]
