"""A lease keeps a submission while its worker lives, and lets go of it when it hangs."""

import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils.timezone import now
from pytest_django import Settings

from evaluation import services
from evaluation.lease import HUNG_EXIT_CODE, Lease
from evaluation.models import Stage
from evaluation.row_lease import RowHold
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_submission, silence

ROOT = Path(__file__).resolve().parents[2]
LONG = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _beat_fast(settings: Settings) -> None:
    settings.EVALUATION_HEARTBEAT = timedelta(seconds=0.05)


def claim() -> Submission:
    submission = make_submission(status=Status.QUEUED)
    assert services.begin(submission, Stage.SCORE, worker="test")
    return submission


def wait_for(what: str, submission: Submission, value: object) -> None:
    end = time.monotonic() + 10
    while getattr(Submission.objects.get(pk=submission.pk), what) != value:
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_and_shows_progress() -> None:
    submission = claim()
    soon = now() + timedelta(seconds=5)
    Submission.objects.update(lease_expires_at=soon)
    with Lease(RowHold(submission), deadline=LONG) as lease:
        lease.report("generating", 3, 8)
        wait_for("progress_done", submission, 3)
    row = Submission.objects.get()
    assert (row.step, row.progress_of) == ("generating", 8)
    assert row.lease_expires_at is not None
    assert row.lease_expires_at > soon
    assert not lease.is_lost


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_lost_when_the_submission_is_cancelled() -> None:
    submission = claim()
    with Lease(RowHold(submission), deadline=LONG) as lease:
        assert Submission.objects.get().move(Status.CANCELLED, finished_at=now())
        end = time.monotonic() + 10
        while not lease.is_lost:
            assert time.monotonic() < end
            time.sleep(0.02)
    assert Submission.objects.get().lease_expires_at is None


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_ran_out_is_lost_though_nobody_has_taken_the_row() -> None:
    submission = claim()
    silence(submission)
    with Lease(RowHold(submission), deadline=LONG) as lease:
        end = time.monotonic() + 10
        while not lease.is_lost:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_progress_is_shown_between_two_renewals(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVALUATION_HEARTBEAT = timedelta(minutes=1)
    monkeypatch.setattr("evaluation.lease.PROGRESS_EVERY_S", 0.1)
    submission = claim()
    with Lease(RowHold(submission), deadline=LONG) as lease:
        for done in range(1, 4):
            time.sleep(0.2)
            lease.report("generating", done, 3)
            wait_for("progress_done", submission, done)


HANG = """
import time
from datetime import timedelta
from django.core.management import call_command
from django.utils.timezone import now
call_command("migrate", verbosity=0)
from evaluation.lease import Lease
from evaluation.row_lease import RowHold
from evaluation.row_lease import RowHold
from submissions.models import Submission
from submissions.states import Status
from tests.evaluation.test_lease import claim
with Lease(RowHold(claim()), deadline=timedelta(seconds={deadline})) as lease:
    {act}
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("deadline", "act"),
    [
        (0, "pass"),
        (3, "assert Submission.objects.get().move(Status.CANCELLED, finished_at=now())"),
    ],
    ids=["while it holds the submission", "after the submission was cancelled"],
)
def test_a_worker_that_hangs_ends_itself(deadline: int, act: str, tmp_path: Path) -> None:
    code = HANG.format(deadline=deadline, act=act)
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", code],
        env={"ARENA_VAR": str(tmp_path / "var"), "ARENA_HEARTBEAT_SECONDS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == HUNG_EXIT_CODE, done.stderr


FREEZE = """
import time
from datetime import timedelta
from django.core.management import call_command
call_command("migrate", verbosity=0)
from evaluation.lease import Lease
from evaluation.row_lease import RowHold
from evaluation.row_lease import RowHold
from tests.evaluation.test_lease import claim
with Lease(RowHold(claim()), deadline=timedelta(minutes=1)) as lease:
    time.sleep(2)
    print(lease.was_frozen, flush=True)
    time.sleep(2)
    print(lease.was_frozen, flush=True)
"""


def test_a_worker_that_was_stopped_for_a_while_knows_it(tmp_path: Path) -> None:
    env = {
        "ARENA_VAR": str(tmp_path / "var"),
        "ARENA_HEARTBEAT_SECONDS": "1",
        "ARENA_LEASE_SECONDS": "4",
    }
    command = [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", FREEZE]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "False\n"
        child.send_signal(signal.SIGSTOP)
        time.sleep(5)
        child.send_signal(signal.SIGCONT)
        assert child.stdout.readline() == "True\n"
