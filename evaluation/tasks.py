"""Celery entry points: claim, do, record. Each is safe to deliver twice."""

import logging
import platform
from datetime import timedelta
from uuid import UUID

from celery import Task, shared_task
from structlog.contextvars import bound_contextvars

from competitions.models import Preparation, PreparationKind
from competitions.preparation_problems import PreparationRejected
from competitions.preparations import PREPARE

# The worker's start-up checks hang on this import.
from evaluation import preparations, services, worker
from evaluation.lease import Lease
from evaluation.models import EvaluationRun, Stage
from evaluation.recipe_calibration import calibrate_recipe
from evaluation.sandbox import SandboxStopped
from styletransfer.errors import CheckpointRejected
from submissions.dispatch import CHECK, EVALUATE
from submissions.models import Submission

log = logging.getLogger(__name__)

# Everything but the generator itself: reading, features of the references, scores.
PREPARATION = timedelta(minutes=30)
SCORING_PER_PAIR = timedelta(seconds=30)


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
    submission = (
        Submission.objects.select_related("phase__recipe", "phase__reference_set", "team")
        .filter(pk=submission_id)
        .first()
    )
    if submission is None:
        log.warning("submission %s does not exist", submission_id)
        return
    run = services.begin(submission, stage, worker=worker_name or platform.node())
    if run is None:
        log.info("submission %s is not waiting: nothing to do", submission_id)
        return
    facts = {"submission": str(submission_id), "run": run.pk, "attempt": run.attempt}
    with (
        bound_contextvars(worker=run.worker, **facts),
        Lease(submission, deadline=_deadline(submission), is_ending=worker.is_ending) as lease,
    ):
        _do(run, lease)


def _deadline(submission: Submission) -> timedelta:
    pairs = submission.phase.reference_set.pairs.count()
    # Twice: the second pass over some of the pairs has the same limit.
    allowed = 2 * timedelta(seconds=submission.phase.time_limit_s)
    return PREPARATION + allowed + SCORING_PER_PAIR * pairs


def _do(run: EvaluationRun, lease: Lease) -> None:
    from evaluation import runner  # loads torch: workers only

    try:
        runner.perform(run, lease)
    except CheckpointRejected as error:
        run.log = "\n".join(getattr(error, "__notes__", []))  # the sandbox's own words
        log.info("submission %s: %s", run.submission_id, error)
        if error.code == "too_slow" and lease.was_frozen:
            services.record_fault(run, reason="The worker stood still while the generator ran.")
        else:
            services.record_refusal(run, code=error.code, facts=error.facts)
    except SandboxStopped:
        if lease.is_lost:
            services.record_stopped(run)
        else:
            services.hand_back(run)
        log.info("submission %s was stopped", run.submission_id)
    except Exception as error:
        log.exception("submission %s: platform fault", run.submission_id)
        # The team reads this: what the error says (paths, addresses) is for our own log only.
        services.record_fault(run, reason=f"Platform fault: {type(error).__name__}")


@shared_task(name=PREPARE)
def prepare(preparation_id: str) -> None:
    """Import images or calibrate a recipe for an organizer; one attempt, as above."""
    if worker.is_ending():
        return
    preparation = preparations.begin(int(preparation_id))
    if preparation is None:
        log.info("preparation %s is not waiting: nothing to do", preparation_id)
        return
    deadline = preparations.deadline_of(preparation)
    with (
        bound_contextvars(preparation=preparation.pk, attempt=preparation.attempt),
        Lease(preparation, deadline=deadline, is_ending=worker.is_ending) as lease,
    ):
        _prepare(preparation, lease)


def _prepare(preparation: Preparation, lease: Lease) -> None:
    try:
        if preparation.kind == PreparationKind.IMAGES:
            has_ended = preparations.import_images(preparation, lease)
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
        preparations.discard_upload(preparation)
