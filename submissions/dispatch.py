"""The one place that names the tasks of submissions, for web tier and sweeper."""

from uuid import UUID

from django.db.models.functions import Now

from competitions import messages
from submissions.models import Submission
from submissions.states import Status

CHECK = "evaluation.check_submission"
EVALUATE = "evaluation.evaluate_submission"
_ROUTES = {Status.CHECKING: (CHECK, "checks"), Status.QUEUED: (EVALUATE, "evaluation")}


def queue_of(status: Status) -> str:
    """Return the queue of whoever takes rows that wait in ``status``."""
    return _ROUTES[status][1]


def send(submission_id: UUID, status: Status) -> bool:
    """Tell the workers of a row that waits in ``status``; return whether the message went out."""
    task, queue = _ROUTES[status]
    if not messages.send(task, queue=queue, row=submission_id):
        return False
    Submission.objects.filter(pk=submission_id).update(dispatched_at=Now())
    return True


def unread(status: Status) -> int:
    """Count the messages that wait for the workers of ``status``; 0 if that can't be found out."""
    _task, queue = _ROUTES[status]
    return messages.unread(queue)
