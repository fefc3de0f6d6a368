"""The states of a submission and every way between them."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    CHECKING = "checking", _("Checking")
    REJECTED = "rejected", _("Rejected")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SCORED = "scored", _("Scored")
    FAILED = "failed", _("Failed")
    PLATFORM_FAULT = "platform_fault", _("Platform fault")
    CANCELLED = "cancelled", _("Cancelled")
    WITHDRAWN = "withdrawn", _("Withdrawn")


# The whole state machine: a status that is not a key here is final.
TRANSITIONS: dict[Status, set[Status]] = {
    Status.CHECKING: {
        Status.CHECKING,  # claimed by a worker, or given back by one
        Status.QUEUED,
        Status.REJECTED,
        Status.PLATFORM_FAULT,
        Status.CANCELLED,
    },
    Status.QUEUED: {Status.RUNNING, Status.CANCELLED},
    Status.RUNNING: {
        Status.QUEUED,  # its worker was lost
        Status.SCORED,
        Status.FAILED,
        Status.PLATFORM_FAULT,
        Status.CANCELLED,
    },
    Status.PLATFORM_FAULT: {Status.CHECKING, Status.QUEUED, Status.CANCELLED},
    Status.SCORED: {Status.WITHDRAWN},
}

# What an organizer may have done again. Kept apart from TRANSITIONS, so that no worker can.
RESTARTABLE = (Status.SCORED, Status.FAILED, Status.REJECTED, Status.PLATFORM_FAULT)

# What a team may have checked again with another manifest.
CHANGEABLE = (Status.CHECKING, Status.QUEUED, Status.REJECTED)

# States in which a worker holds the row or will be asked to.
ACTIVE = (Status.CHECKING, Status.QUEUED, Status.RUNNING)
# States on the way to being scored once more.
SCORED_AGAIN = (*ACTIVE, Status.PLATFORM_FAULT)
# States that explain themselves with a failure code.
EXPLAINED = (Status.REJECTED, Status.FAILED, Status.PLATFORM_FAULT)
# A file that ended so may be sent again unchanged.
MAY_BE_SENT_AGAIN = (
    Status.REJECTED,
    Status.FAILED,
    Status.PLATFORM_FAULT,
    Status.CANCELLED,
)


def lawful_moves() -> set[tuple[Status, Status]]:
    """Return every way from one state to another, whoever goes it; the database knows no other.

    Beyond ``TRANSITIONS``: an organizer has it done again, a team has it checked again by another
    manifest, and one that is scored again may keep the scores it had.
    """
    moves = {(source, target) for source, targets in TRANSITIONS.items() for target in targets}
    moves |= {
        (source, target) for source in RESTARTABLE for target in (Status.CHECKING, Status.QUEUED)
    }
    moves |= {(source, Status.CHECKING) for source in CHANGEABLE}
    moves |= {(source, Status.SCORED) for source in SCORED_AGAIN}
    return moves


def sources_of(target: Status) -> list[Status]:
    return [source for source, targets in TRANSITIONS.items() if target in targets]


def is_final(status: str) -> bool:
    return status not in TRANSITIONS or status == Status.SCORED
