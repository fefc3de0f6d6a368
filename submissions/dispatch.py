"""The one place that names the tasks, so that the web tier never imports a worker's code."""

import logging
from uuid import UUID

from celery import current_app
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from submissions.models import Submission
from submissions.states import Status

log = logging.getLogger(__name__)

CHECK = "evaluation.check_submission"
EVALUATE = "evaluation.evaluate_submission"
_ROUTES = {Status.CHECKING: (CHECK, "checks"), Status.QUEUED: (EVALUATE, "evaluation")}


def send(submission_id: UUID, status: Status) -> None:
    """Tell the workers of a row that waits in ``status``.

    A message is only a hint: if none can be sent, or it is lost, the sweeper sends another.
    """
    task, queue = _ROUTES[status]
    try:
        current_app.send_task(task, args=[str(submission_id)], queue=queue, retry=False)
    except (OperationalError, OSError):
        log.warning("no broker: submission %s waits for the sweeper", submission_id, exc_info=True)
        return
    Submission.objects.filter(pk=submission_id).update(dispatched_at=now())
