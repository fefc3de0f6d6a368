"""Celery entry points: claim, do, record. Each is safe to deliver twice."""

import logging
import platform
from uuid import UUID

from celery import Task, shared_task
from structlog.contextvars import bound_contextvars

from competitions.models import Preparation, PreparationKind
from competitions.preparation_problems import PreparationRejected
from competitions.preparations import PREPARE

# The worker's start-up checks hang on this import.
from evaluation import preparation_files, preparations, worker
from evaluation.attempts import make_attempt
from evaluation.banners import make_banner
from evaluation.lease import Lease
from evaluation.local_desk import claim
from evaluation.models import Stage
from evaluation.recipe_calibration import calibrate_recipe
from evaluation.row_lease import RowHold
from submissions.dispatch import CHECK, EVALUATE
from submissions.models import Submission

log = logging.getLogger(__name__)


@shared_task(name=CHECK, bind=True)
def check_submission(self: "Task[[str], None]", submission_id: str) -> None:
    """Open a checkpoint in the sandbox and make one picture, before it may queue."""
    _attempt(UUID(submission_id), Stage.CHECK, worker_name=self.request.hostname or "")


@shared_task(name=EVALUATE, bind=True)
def evaluate_submission(self: "Task[[str], None]", submission_id: str) -> None:
    """Make and score every picture of a submission."""
    _attempt(UUID(submission_id), Stage.SCORE, worker_name=self.request.hostname or "")


def _attempt(submission_id: UUID, stage: Stage, *, worker_name: str) -> None:
    """Make one attempt.

    A message that comes twice finds the row claimed and does nothing. A worker that dies leaves
    the row with a lease that runs out; the sweeper then gives the submission to another.
    """
    if worker.is_ending():
        return  # the sweeper sends another message, which finds another worker
    name = worker_name or platform.node()
    while True:
        try:
            desk = claim(submission_id, stage, worker=name)
        except Submission.DoesNotExist:
            log.warning("submission %s does not exist", submission_id)
            return
        if desk is None:
            log.info("submission %s is not waiting: nothing to do", submission_id)
            return
        make_attempt(desk, worker.workplace(), worker=name, is_ending=worker.is_ending)
        # Of a divided run the next part at once: its images and networks are at hand.
        if desk.assignment.shard is None or worker.is_ending():
            return


@shared_task(name=PREPARE)
def prepare(preparation_id: str) -> None:
    """Import images, make a banner or calibrate a recipe; one attempt, as above."""
    if worker.is_ending():
        return
    preparation = preparations.begin(int(preparation_id))
    if preparation is None:
        log.info("preparation %s is not waiting: nothing to do", preparation_id)
        return
    deadline = preparations.deadline_of(preparation)
    with (
        bound_contextvars(preparation=preparation.pk, attempt=preparation.attempt),
        Lease(RowHold(preparation), deadline=deadline, is_ending=worker.is_ending) as lease,
    ):
        _prepare(preparation, lease)


def _prepare(preparation: Preparation, lease: Lease) -> None:
    try:
        if preparation.kind == PreparationKind.IMAGES:
            has_ended = preparations.import_images(preparation, lease)
        elif preparation.kind == PreparationKind.BANNER:
            has_ended = make_banner(preparation, lease)
        else:
            has_ended = calibrate_recipe(preparation, lease)
    except PreparationRejected as error:
        log.info("preparation %s was rejected: %s", preparation.pk, error.code)
        has_ended = preparations.record_rejection(preparation, code=error.code, facts=error.facts)
    except preparations.PreparationStopped:
        log.info("preparation %s was stopped", preparation.pk)
        preparations.hand_back(preparation)
        return
    except Exception:
        log.exception("preparation %s: platform fault", preparation.pk)
        preparations.record_fault(preparation)
        return
    if has_ended:  # else the row is another attempt's by now, and so is the upload
        preparation_files.discard_upload(preparation)
