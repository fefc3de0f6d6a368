"""The way of a submission as steps that a page draws: what is done, what goes on, what is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from submissions.models import Submission
from submissions.states import Status

Progress = Literal["done", "now", "failed", "paused", "stopped", "ahead"]


@dataclass(frozen=True)
class Stage:
    name: "str | Promise"
    progress: Progress
    at: datetime | None
    """When it was reached, for those that are done."""


_NAMES = (_("Received"), _("Check"), _("Queue"), _("Evaluation"), _("Scores"))
_CHECK, _QUEUE, _RUN, _SCORED = range(1, 5)
_ENDS: dict[str, Progress] = {
    Status.REJECTED: "failed",
    Status.FAILED: "failed",
    Status.PLATFORM_FAULT: "paused",
    Status.CANCELLED: "stopped",
}


def stages_of(submission: Submission) -> Sequence[Stage]:
    """Return the five steps from the file's arrival to its scores."""
    at = _reached_at(submission)
    present = _present_step(submission)
    progress = _ENDS.get(submission.status, "now")
    return [
        Stage(
            name,
            "done" if step < present else progress if step == present else "ahead",
            at[step] if step < present else None,
        )
        for step, name in enumerate(_NAMES)
    ]


def _present_step(submission: Submission) -> int:
    """Return the step that goes on or that it ended in; one past the last if all are done."""
    match submission.status:
        case Status.SCORED | Status.WITHDRAWN:
            return len(_NAMES)
        case Status.CHECKING | Status.REJECTED:
            return _CHECK
        case Status.QUEUED:
            return _QUEUE
        case Status.RUNNING | Status.FAILED:
            return _RUN
    # Interrupted: by what it had reached.
    if submission.checked_at is None:
        return _CHECK
    return _RUN if submission.started_at else _QUEUE


def _reached_at(submission: Submission) -> Sequence[datetime | None]:
    return (
        submission.created_at,
        submission.checked_at,
        submission.started_at,  # left the queue
        submission.finished_at,
        submission.finished_at,
    )
