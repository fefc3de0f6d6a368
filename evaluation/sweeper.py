"""Bring back whatever was lost: dead workers' submissions, faults, messages.

Every act is a conditional update, so any number of sweepers may run at once.
"""

import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.timezone import now

from competitions import messages
from competitions.errors import DomainError
from competitions.models import LeaderboardEntry, Preparation, PreparationStatus
from competitions.preparations import OPEN as OPEN_PREPARATIONS
from competitions.preparations import send as send_preparation
from competitions.queues import PREPARATIONS, Workers
from evaluation import shards
from evaluation.assigning import PREPARATION, deadline_of
from evaluation.board import rebuild_entry
from evaluation.gateway.tokens import withdraw_revoked
from evaluation.models import EvaluationRun, Outcome
from evaluation.outages import watch_workers
from evaluation.preparation_files import discard_upload, remove_leftovers
from evaluation.preparations import take_from_lost_worker as take_preparation
from evaluation.services import take_from_lost_worker
from submissions import dispatch
from submissions.models import Submission
from submissions.states import Status
from submissions.uploads.removal import sweep_uploads

log = logging.getLogger(__name__)

# Messages are hints: it is enough that the next few in line have one.
RESENT_AT_ONCE = 8
LONGEST_UPLOAD = timedelta(days=1)


@dataclass(frozen=True)
class Swept:
    lost: int
    retried: int
    resent: int


def sweep() -> Swept:
    end_overdue_leases()
    lost = take_from_the_lost() + take_lost_preparations() + shards.take_from_lost_workers()
    clean_up_preparations()
    close_abandoned_runs()
    shards.clean_up()
    remove_broken_uploads()
    sweep_uploads()
    remove_broken_parts()
    withdraw_revoked_tokens()
    free_boards_of_the_cancelled()
    watch_workers()
    return Swept(lost=lost, retried=retry_faults(), resent=resend() + resend_preparations())


def end_overdue_leases() -> int:
    """Let leases run out whose workers have renewed them beyond every deadline.

    A worker ends itself when its attempt hangs; this is for one that does not, wherever it is.
    """
    ended = 0
    old = EvaluationRun.objects.filter(
        outcome=Outcome.RUNNING,
        started_at__lt=Now() - PREPARATION,
        shards__isnull=True,  # a divided run's parts have deadlines of their own
        submission__attempt=F("attempt"),
    ).select_related("submission__phase__reference_set")
    for run in old:
        pairs = run.submission.phase.reference_set.pairs.count()
        limit = deadline_of(run, pairs) + settings.EVALUATION_LEASE
        if EvaluationRun.objects.filter(pk=run.pk, started_at__lt=Now() - limit).exists():
            held = Submission.objects.held().filter(pk=run.submission_id, attempt=run.attempt)
            ended += held.update(lease_expires_at=Now())
    return ended


def take_from_the_lost() -> int:
    """Give back what workers held when they went silent."""
    taken = 0
    for submission in Submission.objects.lost():
        if not take_from_lost_worker(submission):
            continue
        taken += 1
        log.warning(
            "the worker of submission %s was lost: now %s", submission.pk, submission.status
        )
    return taken


def close_abandoned_runs() -> int:
    """Close runs that ended without a word, their submission having gone on without them.

    That is: it was cancelled when their worker was dead, or the worker could not record its end.
    """
    quiet = Now() - 3 * settings.EVALUATION_LEASE  # a worker that lives has noticed by then
    return (
        EvaluationRun.objects.filter(
            outcome=Outcome.RUNNING, started_at__lt=quiet, submission__status_changed_at__lt=quiet
        )
        .exclude(submission__attempt=F("attempt"), submission__lease_expires_at__isnull=False)
        .update(outcome=Outcome.LOST, finished_at=Now())
    )


def remove_broken_uploads() -> int:
    """Remove what a web server that was killed was receiving; Django cleans up after the others."""
    oldest = now().timestamp() - LONGEST_UPLOAD.total_seconds()
    removed = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        with contextlib.suppress(FileNotFoundError):  # finished in this moment
            if path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


def remove_broken_parts() -> None:
    """Once an hour, remove parts that a killed process left in an object storage."""
    remove = getattr(default_storage, "remove_broken_parts", None)
    if remove is None or not cache.add("broken parts removed", True, timeout=3600):
        return
    try:
        remove(begun_before=now() - LONGEST_UPLOAD)
    except OSError:
        log.warning("could not look for broken parts", exc_info=True)


def withdraw_revoked_tokens() -> None:
    """Once an hour, take from Redis the users of tokens that were revoked while it was away."""
    if not cache.add("revoked tokens withdrawn", True, timeout=3600):
        return
    try:
        withdraw_revoked()
    except DomainError:
        cache.set("revoked tokens withdrawn", True, timeout=60)
        log.warning("could not withdraw revoked tokens from Redis", exc_info=True)


def retry_faults() -> int:
    """Let submissions try again that the platform failed, when their pause is over."""
    # One that is neither final nor waits for a time would stay for ever.
    unfinished = Q(not_before__isnull=True, finished_at__isnull=True)
    due = Submission.objects.filter(
        unfinished | Q(not_before__lte=Now()), status=Status.PLATFORM_FAULT
    ).exclude(failure_code="platform_fault_final")
    retried = 0
    for submission in due:
        target = Status.CHECKING if submission.checked_at is None else Status.QUEUED
        try:
            with transaction.atomic():
                retried += submission.move(
                    target, failure_code="", not_before=None, dispatched_at=None
                )
        except IntegrityError:
            # The team sent the same file again meanwhile: that one is scored instead.
            submission.move(Status.CANCELLED, failure_code="", not_before=None, finished_at=Now())
            rebuild_entry(submission.phase, submission.team)
    return retried


def free_boards_of_the_cancelled() -> None:
    """Give the places away of what was cancelled while it was scored again.

    Mostly that keeps its scores; it can't where the team has sent the same file again meanwhile.
    """
    places = LeaderboardEntry.objects.values("submission_id")
    for submission in Submission.objects.filter(
        status=Status.CANCELLED, scored_at__isnull=False, pk__in=places
    ).select_related("phase", "team"):
        rebuild_entry(submission.phase, submission.team)


def resend() -> int:
    """Send a message for rows at the head of the line that have none, or had one long ago."""
    stale = Now() - settings.RESEND_AFTER
    sent = 0
    for queue in dispatch.queues():
        head = dispatch.waiting_in(queue).order_by(
            F("queued_at").asc(nulls_first=True), "created_at", "pk"
        )[:RESENT_AT_ONCE]
        rows = Submission.objects.filter(pk__in=[row.pk for row in head])
        overdue = rows.filter(Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=stale))
        # Enough for the head of the line: no pile grows while there is no worker to read it.
        if not overdue or messages.unread(queue) >= RESENT_AT_ONCE:
            continue
        for submission in overdue:
            # Of several sweepers one sends it.
            if not overdue.filter(pk=submission.pk).update(dispatched_at=Now()):
                continue
            if not dispatch.send(submission.pk, Status(submission.status)):
                rows.filter(pk=submission.pk).update(dispatched_at=None)
                return sent  # nor would the next
            sent += 1
    if messages.unread(Workers.EVALUATION.value) < RESENT_AT_ONCE:
        sent += shards.resend(RESENT_AT_ONCE)
    return sent


def take_lost_preparations() -> int:
    """Give back what workers prepared for organizers when they went silent."""
    taken = 0
    for preparation in Preparation.objects.lost():
        if not take_preparation(preparation):
            continue
        taken += 1
        log.warning("the worker of %r was lost: now %s", preparation, preparation.status)
    return taken


def clean_up_preparations() -> None:
    """Remove what ended preparations have left: uploads, and files of attempts that died."""
    ended = Preparation.objects.exclude(status__in=OPEN_PREPARATIONS).exclude(upload="")
    for preparation in ended[:RESENT_AT_ONCE]:
        if preparation.status != PreparationStatus.DONE:
            remove_leftovers(preparation, up_to=preparation.attempt)
        try:
            discard_upload(preparation)
        except OSError:  # what comes after must not wait for a file that can't be removed
            log.warning("could not remove the upload of %r", preparation, exc_info=True)


def resend_preparations() -> int:
    """Send a message for preparations that wait without one, or had one long ago."""
    stale = Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=Now() - settings.RESEND_AFTER)
    head = Preparation.objects.waiting().order_by("created_at", "pk")[:RESENT_AT_ONCE]
    sent = 0
    overdue = Preparation.objects.filter(stale, pk__in=[row.pk for row in head])
    for preparation in overdue:
        if messages.unread(PREPARATIONS) >= RESENT_AT_ONCE:
            return sent
        if not overdue.filter(pk=preparation.pk).update(dispatched_at=Now()):
            continue
        if not send_preparation(preparation.pk):
            Preparation.objects.filter(pk=preparation.pk).update(dispatched_at=None)
            return sent
        sent += 1
    return sent
