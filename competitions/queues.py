"""The queues that workers take work from, and how their names reach the broker."""

from django.db import models
from django.utils.translation import gettext_lazy as _

CHECKS = "checks"
PREPARATIONS = "preparations"
_PRIVATE = "private-"


class Workers(models.TextChoices):
    """Which workers score a phase's submissions."""

    EVALUATION = "evaluation", _("The site’s own")
    GPU = "gpu", _("The site’s own with a GPU")
    PRIVATE = "private", _("Only those of this competition")


def scoring_queue(workers: str, competition_id: int) -> str:
    """Return the queue of a phase; a private one is a competition's own."""
    return private_queue(competition_id) if workers == Workers.PRIVATE else workers


def private_queue(competition_id: int) -> str:
    return f"{_PRIVATE}{competition_id}"


def competition_of(queue: str) -> int | None:
    """Return whose private queue it is, None for the site's own."""
    number = queue.removeprefix(_PRIVATE)
    return int(number) if number != queue and number.isdecimal() else None


def key_prefix(queue: str) -> str:
    """Return what every key of a queue in the broker begins with.

    A worker has one connection, so the queues that it may take together have one prefix, and one
    that may see no other queue is kept to it by the broker.
    """
    return f"arena:{CHECKS if queue == PREPARATIONS else queue}:"
