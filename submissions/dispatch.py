"""The one place that names the tasks and the queues of submissions, for web tier and sweeper."""

from uuid import UUID

from django.db.models.functions import Now

from competitions import messages
from competitions.models import Phase
from competitions.queues import CHECKS, Workers, competition_of, scoring_queue
from submissions.models import Submission, SubmissionQuerySet
from submissions.states import Status

CHECK = "evaluation.check_submission"
EVALUATE = "evaluation.evaluate_submission"
_TASKS = {Status.CHECKING: CHECK, Status.QUEUED: EVALUATE}


def queue_of(status: Status | str, *, workers: str, competition_id: int) -> str:
    """Return the queue of whoever takes rows in ``status`` of a phase with such workers."""
    unchecked = status == Status.CHECKING
    return CHECKS if unchecked else scoring_queue(workers, competition_id)


def queue_for(submission: Submission) -> str:
    """Return the queue of whoever takes a submission as it is now."""
    phase = submission.phase
    return queue_of(submission.status, workers=phase.workers, competition_id=phase.competition_id)


def queues() -> list[str]:
    """Return the queues that submissions may wait in: the usual ones, and those of any phase."""
    chosen = Phase.objects.exclude(workers=Workers.EVALUATION).order_by("workers", "competition")
    rows = chosen.values_list("workers", "competition").distinct()
    others = (scoring_queue(workers, competition) for workers, competition in rows)
    return list(dict.fromkeys([CHECKS, Workers.EVALUATION.value, *others]))


def waiting_in(queue: str) -> SubmissionQuerySet:
    """Return the rows that wait for the workers of a queue."""
    if queue == CHECKS:
        return Submission.objects.waiting(Status.CHECKING)
    waiting = Submission.objects.waiting(Status.QUEUED)
    owner = competition_of(queue)
    if owner is None:
        return waiting.filter(phase__workers=queue)
    return waiting.filter(phase__workers=Workers.PRIVATE, phase__competition=owner)


def send(submission_id: UUID, status: Status) -> bool:
    """Tell the workers of a row that waits in ``status``; return whether the message went out."""
    phase = Phase.objects.only("workers", "competition_id").get(submissions=submission_id)
    queue = queue_of(status, workers=phase.workers, competition_id=phase.competition_id)
    if not messages.send(_TASKS[status], queue=queue, row=submission_id):
        return False
    Submission.objects.filter(pk=submission_id).update(dispatched_at=Now())
    return True
