"""Notice that nobody takes what waits, and tell those who can do something about it, once."""

import logging
from collections.abc import Sequence

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from competitions.mail import Reader, notify
from competitions.models import Competition, MailKind
from evaluation.models import WorkerOutage
from evaluation.queues import unattended_queues, waiting_in_vain
from submissions.models import Submission

log = logging.getLogger(__name__)


def watch_workers() -> None:
    """Begin and end outages; the beginning of one is mailed to organizers and administrators."""
    unattended = unattended_queues()
    over = WorkerOutage.objects.filter(ended_at__isnull=True).exclude(queue__in=unattended)
    over.update(ended_at=Now())
    known = set(WorkerOutage.objects.filter(ended_at__isnull=True).values_list("queue", flat=True))
    for queue, submissions in waiting_in_vain(sorted(unattended - known)).items():
        _begin(queue, submissions)


def _begin(queue: str, submissions: Sequence[Submission]) -> None:
    try:
        with transaction.atomic():
            WorkerOutage.objects.create(queue=queue, started_at=Now())
            _tell(queue, submissions)
    except IntegrityError:
        return  # another sweeper has noticed it, and told
    log.error("no worker online for queue %s: %d submissions wait", queue, len(submissions))


def _tell(queue: str, submissions: Sequence[Submission]) -> None:
    competitions = Competition.objects.filter(phases__submissions__in=submissions)
    people = get_user_model().objects.filter(
        Q(is_superuser=True) | Q(organized_competitions__in=competitions), is_active=True
    )
    notify(
        MailKind.OPERATIONS,
        "no_worker",
        [Reader.of(user) for user in people.exclude(email="").distinct().order_by("pk")],
        page=reverse("admin:index"),
        context={"queue": queue, "number": len(submissions)},
    )
