"""What workers, brokers and the platform lose comes back."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils.timezone import now
from pytest_django import Settings

from evaluation import services, sweeper
from evaluation.models import EvaluationRun, Outcome, Stage
from evaluation.row_lease import next_expiry
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_submission, silence

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def messages() -> Iterator[Path]:
    """The folder of the real filesystem broker, empty before and after."""
    folder: Path = settings.BROKER_DIR / "queue"
    for old in folder.iterdir():
        old.unlink()
    yield folder
    for old in folder.iterdir():
        old.unlink()


@pytest.mark.parametrize(
    ("status", "stage", "back_to"),
    [
        (Status.CHECKING, Stage.CHECK, Status.CHECKING),
        (Status.QUEUED, Stage.SCORE, Status.QUEUED),
    ],
)
def test_a_silent_workers_submission_is_waiting_again(
    status: Status, stage: Stage, back_to: Status
) -> None:
    submission = make_submission(status=status)
    run = services.begin(submission, stage, worker="dies")
    silence(submission)
    assert sweeper.take_from_the_lost() == 1
    submission.refresh_from_db()
    assert (submission.status, submission.lease_expires_at) == (back_to, None)
    assert submission.faults == 1
    assert run is not None
    run.refresh_from_db()
    assert run.outcome == Outcome.LOST
    assert services.begin(submission, stage, worker="next") is not None


def test_a_run_is_closed_whose_submission_was_cancelled_after_its_worker_died() -> None:
    submission = make_submission(status=Status.QUEUED)
    run = services.begin(submission, Stage.SCORE, worker="dies")
    alive = services.begin(make_submission(status=Status.QUEUED), Stage.SCORE, worker="lives")
    assert run is not None
    assert alive is not None
    assert submission.move(Status.CANCELLED, finished_at=now())
    assert sweeper.close_abandoned_runs() == 0  # its worker may be about to notice
    long_ago = now() - timedelta(minutes=20)
    EvaluationRun.objects.update(started_at=long_ago)
    Submission.objects.update(status_changed_at=long_ago)
    sweeper.sweep()
    run.refresh_from_db()
    alive.refresh_from_db()
    assert (run.outcome, alive.outcome) == (Outcome.LOST, Outcome.RUNNING)


@pytest.mark.parametrize(("ago", "ends"), [(31, False), (26 * 60, True)])
def test_a_worker_that_renews_beyond_every_deadline_loses_its_submission(
    ago: int, ends: bool
) -> None:
    submission = make_submission(status=Status.QUEUED)
    run = services.begin(submission, Stage.SCORE, worker="hangs")
    assert run is not None
    EvaluationRun.objects.update(started_at=Now() - timedelta(minutes=ago))
    assert sweeper.end_overdue_leases() == ends
    assert sweeper.take_from_the_lost() == ends
    submission.refresh_from_db()
    assert submission.status == (Status.QUEUED if ends else Status.RUNNING)


def test_a_fault_that_waits_for_no_time_is_tried_again_all_the_same() -> None:
    submission = make_submission(status=Status.PLATFORM_FAULT, failure_code="platform_fault")
    assert sweeper.retry_faults() == 1
    submission.refresh_from_db()
    assert submission.status == Status.CHECKING


def test_a_worker_that_still_renews_keeps_its_submission() -> None:
    submission = make_submission(status=Status.QUEUED)
    services.begin(submission, Stage.SCORE, worker="alive")
    assert sweeper.take_from_the_lost() == 0


@pytest.mark.parametrize("is_taken", [False, True], ids=["before", "after"])
def test_a_worker_that_wakes_too_late_can_not_write_before_or_after_a_sweep(
    is_taken: bool,
) -> None:
    submission = make_submission()
    run = services.begin(submission, Stage.CHECK, worker="frozen")
    assert run is not None
    silence(submission)
    if is_taken:
        assert sweeper.take_from_the_lost() == 1
    before = Submission.objects.values().get()
    assert not run.submission.renew(lease_expires_at=next_expiry())
    assert not services.record_check_passed(run)
    assert not services.record_refusal(run, code="too_slow", facts={})
    assert not services.record_fault(run, reason="no disk")
    services.hand_back(run)
    assert Submission.objects.values().get() == before


def test_a_submission_that_kills_every_worker_ends() -> None:
    submission = make_submission(status=Status.QUEUED)
    for _ in range(settings.EVALUATION_MAX_FAULTS):
        assert services.begin(submission, Stage.SCORE, worker="dies") is not None
        silence(submission)
        assert sweeper.take_from_the_lost() == 1
        submission.refresh_from_db()
    assert submission.status == Status.PLATFORM_FAULT
    assert submission.failure_code == "platform_fault_final"
    assert sweeper.retry_faults() == 0


def test_a_fault_is_tried_again_when_its_pause_is_over_not_before() -> None:
    submission = make_submission(status=Status.QUEUED, checked_at=now())
    run = services.begin(submission, Stage.SCORE, worker="test")
    assert run is not None
    services.record_fault(run, reason="no disk")
    assert sweeper.retry_faults() == 0
    Submission.objects.update(not_before=Now())
    assert sweeper.retry_faults() == 1
    submission.refresh_from_db()
    assert (submission.status, submission.failure_code) == (Status.QUEUED, "")


def test_a_fault_gives_way_to_the_same_file_sent_again() -> None:
    first = make_submission(
        status=Status.PLATFORM_FAULT, not_before=Now(), failure_code="platform_fault"
    )
    again = make_submission(
        phase=first.phase,
        team=first.team,
        sha256=first.sha256,
        manifest_sha256=first.manifest_sha256,
    )
    sweeper.retry_faults()
    first.refresh_from_db()
    again.refresh_from_db()
    assert (first.status, again.status) == (Status.CANCELLED, Status.CHECKING)


def test_an_upload_that_broke_off_long_ago_is_removed(settings: Settings, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    for name, hours in (("old.upload.onnx", 25), ("new.upload.onnx", 1), ("old.other", 25)):
        (tmp_path / name).touch()
        moment = now().timestamp() - 3600 * hours
        os.utime(tmp_path / name, (moment, moment))
    assert sweeper.remove_broken_uploads() == 1
    assert {path.name for path in tmp_path.iterdir()} == {"new.upload.onnx", "old.other"}


def test_a_row_without_a_message_gets_one_and_only_one(messages: Path) -> None:
    make_submission(status=Status.QUEUED)
    assert sweeper.resend() == 1
    assert sweeper.resend() == 0
    assert len(list(messages.iterdir())) == 1


def test_a_message_that_is_old_is_sent_again(messages: Path) -> None:
    make_submission(
        status=Status.QUEUED,
        dispatched_at=now() - settings.RESEND_AFTER - timedelta(seconds=1),
    )
    assert sweeper.resend() == 1
    assert len(list(messages.iterdir())) == 1


def test_messages_do_not_pile_up_while_no_worker_reads_them(messages: Path) -> None:
    make_submission(status=Status.QUEUED)
    for _ in range(3 * sweeper.RESENT_AT_ONCE):
        Submission.objects.update(dispatched_at=now() - timedelta(hours=1))
        sweeper.resend()
    assert len(list(messages.iterdir())) == sweeper.RESENT_AT_ONCE
