"""The one place that names the tasks, so that the web tier never imports a worker's code."""

import logging
from typing import Any
from uuid import UUID

from celery import current_app
from django.utils.timezone import now

from submissions.models import Submission
from submissions.states import Status

log = logging.getLogger(__name__)

CHECK = "evaluation.check_submission"
EVALUATE = "evaluation.evaluate_submission"
_ROUTES = {Status.CHECKING: (CHECK, "checks"), Status.QUEUED: (EVALUATE, "evaluation")}


def send(submission_id: UUID, status: Status) -> bool:
    """Tell the workers of a row that waits in ``status``; return whether the message went out.

    A message is only a hint: if none can be sent, or it is lost, the sweeper sends another.
    """
    task, queue = _ROUTES[status]
    try:
        current_app.send_task(task, args=[str(submission_id)], queue=queue, retry=False)
    except Exception:  # each broker has errors of its own, and none may do harm
        log.warning("no broker: submission %s waits for the sweeper", submission_id, exc_info=True)
        return False
    Submission.objects.filter(pk=submission_id).update(dispatched_at=now())
    return True


def unread(status: Status) -> int:
    """Count the messages that wait for the workers of ``status``; 0 if that can't be found out."""
    _task, queue = _ROUTES[status]
    try:
        with current_app.connection_for_write() as connection:
            channel: Any = connection.default_channel
            return int(channel._size(queue))
    except Exception:  # noqa: BLE001 - as above
        return 0
