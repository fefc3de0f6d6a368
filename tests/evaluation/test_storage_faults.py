"""A storage that fails is the platform's fault: tried again, told as such, and never charged."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.functions import Now
from pytest_django import Settings

from evaluation import organizing, sweeper
from evaluation.models import EvaluationRun, Outcome
from evaluation.tasks import check_submission
from submissions import quota
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_submission
from tests.object_storage import point_to
from tests.organizing.scene import make_organizer

pytestmark = pytest.mark.django_db(transaction=True)


class _Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def broken_storage() -> Iterator[str]:
    """Run an object storage that answers everything with 500."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_storage_that_stays_broken_costs_no_quota_and_one_act_starts_it_again(
    settings: Settings, broken_storage: str
) -> None:
    settings.EVALUATION_MAX_FAULTS = 3
    submission = make_submission()
    phase, team = submission.phase, submission.team
    point_to(settings, broken_storage)
    pauses = []
    for attempt in range(1, 4):
        check_submission(str(submission.pk))
        submission.refresh_from_db()
        assert (submission.status, submission.faults) == (Status.PLATFORM_FAULT, attempt)
        if submission.not_before is not None:
            pauses.append((submission.not_before - submission.status_changed_at).total_seconds())
            Submission.objects.update(not_before=Now())
            assert sweeper.retry_faults() == 1
    assert [round(pause) for pause in pauses] == [4, 16]
    assert submission.failure_code == "platform_fault_final"
    assert "not your fault" in str(submission.failure and submission.failure.detail)
    assert {run.outcome for run in EvaluationRun.objects.all()} == {Outcome.FAULT}
    used = quota.count(phase, team)
    assert (used.per_day.used, used.total.used, used.concurrent.used) == (0, 0, 0)
    organizer = make_organizer(phase.competition)
    organizing.restart(submission, by=organizer, reason="the storage is back")
    submission.refresh_from_db()
    assert (submission.status, submission.faults) == (Status.CHECKING, 0)
    assert LogEntry.objects.filter(object_id=str(submission.pk)).count() == 1
