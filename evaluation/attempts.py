"""Making one attempt, from its assignment to the report; free of Django."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from structlog.contextvars import bound_contextvars

from evaluation.assignment import Notes
from evaluation.desk import Desk
from evaluation.lease import Lease
from evaluation.sandbox import SandboxStopped
from evaluation.workplace import Workplace
from styletransfer.errors import CheckpointRejected

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """What the steps of one attempt share."""

    desk: Desk
    lease: Lease
    place: Workplace
    notes: Notes


def make_attempt(
    desk: Desk, place: Workplace, *, worker: str, is_ending: Callable[[], bool]
) -> None:
    """Do what ``desk`` assigns and hand in what came of it."""
    assignment = desk.assignment
    facts: Mapping[str, Any] = {
        "submission": str(assignment.submission),
        "run": assignment.run,
        "attempt": assignment.attempt,
    }
    deadline = timedelta(seconds=assignment.deadline_s)
    with (
        bound_contextvars(worker=worker, **facts),
        Lease(desk, deadline=deadline, is_ending=is_ending) as lease,
    ):
        notes = Notes(converted_sha256=assignment.checkpoint.converted_sha256)
        _work(Attempt(desk, lease, place, notes))


def _work(attempt: Attempt) -> None:
    from evaluation import runner  # loads torch: workers only

    desk, notes = attempt.desk, attempt.notes
    submission = desk.assignment.submission
    try:
        runner.perform(attempt)
    except CheckpointRejected as error:
        notes.log = "\n".join(getattr(error, "__notes__", []))  # the sandbox's own words
        log.info("submission %s: %s", submission, error)
        if error.code == "too_slow" and attempt.lease.was_frozen:
            desk.report_fault(notes, reason="The worker stood still while the generator ran.")
        else:
            desk.report_refusal(notes, code=error.code, facts=error.facts)
    except SandboxStopped:
        if attempt.lease.is_lost:
            desk.report_stopped(notes)
        else:
            desk.hand_back(notes)
        log.info("submission %s was stopped", submission)
    except Exception as error:
        log.exception("submission %s: platform fault", submission)
        # The team reads this: what the error says (paths, addresses) is for our own log only.
        desk.report_fault(notes, reason=f"Platform fault: {type(error).__name__}")
