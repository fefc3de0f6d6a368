"""An attempt that the platform spoils is never the participant's fault, and says no secrets."""

import pytest

from evaluation.models import EvaluationRun, Outcome
from evaluation.tasks import check_submission
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_submission

pytestmark = pytest.mark.django_db(transaction=True)


def attempt(submission: Submission) -> EvaluationRun:
    check_submission(str(submission.pk))
    return EvaluationRun.objects.get(submission=submission)


def test_a_stored_checkpoint_that_has_changed_is_a_fault_of_ours() -> None:
    submission = make_submission(sha256="0" * 64)
    run = attempt(submission)
    submission.refresh_from_db()
    assert (submission.status, run.outcome) == (Status.PLATFORM_FAULT, Outcome.FAULT)
    assert "CheckpointChanged" in run.log


def test_the_log_of_a_fault_names_no_path_of_this_machine() -> None:
    submission = make_submission()
    submission.checkpoint.storage.delete(str(submission.checkpoint.name))
    run = attempt(submission)
    assert run.outcome == Outcome.FAULT
    assert "FileNotFoundError" in run.log
    assert "/" not in run.log
