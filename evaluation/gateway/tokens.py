"""Making and revoking the tokens of workers elsewhere."""

import logging

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict, DomainError, Forbidden
from competitions.models import Competition
from competitions.people import User
from competitions.queues import CHECKS, Workers, competition_of, private_queue
from evaluation import services
from evaluation.gateway import broker
from evaluation.models import EvaluationRun, Outcome, Worker
from evaluation.worker_token import WorkerToken

log = logging.getLogger(__name__)
OWN_QUEUES = (CHECKS, Workers.EVALUATION.value, Workers.GPU.value)


def queues_of(user: User) -> list[tuple[str, str]]:
    """Return the queues that ``user`` may make tokens for, each with its name in words."""
    if user.is_superuser:
        own = [
            (CHECKS, gettext("checks of files")),
            *((name, str(label)) for name, label in Workers.choices if name != Workers.PRIVATE),
        ]
    else:
        own = []
    competitions = Competition.objects.organized_by(user).order_by("title")
    return [*own, *((private_queue(each.pk), str(each)) for each in competitions)]


@transaction.atomic
def issue(*, name: str, queue: str, by: User) -> tuple[WorkerToken, str]:
    """Make a token for workers of a queue; return it with its key, which can't be had again.

    Raises:
        Forbidden: the queue is not one that ``by`` may give away.
        Conflict: another token has this name.
    """
    if queue not in dict(queues_of(by)):
        raise Forbidden("not_your_queue", _("You may make tokens for your own competitions only."))
    try:
        with transaction.atomic():
            token, key = WorkerToken.issue(
                name=name, queue=queue, competition_id=competition_of(queue), by=by
            )
    except IntegrityError as error:
        raise Conflict("name_taken", _("Another worker token has this name.")) from error
    _note(token, by, ADDITION, gettext("Made for %(queue)s") % {"queue": queue})
    return token, key


def revoke(token: WorkerToken, *, by: User) -> None:
    """Refuse a token from now on; what its workers hold goes to others at once."""
    with transaction.atomic():
        revoked = WorkerToken.objects.usable().filter(pk=token.pk).update(revoked_at=now())
        if not revoked:
            raise Conflict("token_revoked", _("This token is revoked already."))
        for run in _open_runs(token):
            run.submission.attempt = run.attempt  # one that was taken over since is not touched
            services.hand_back(run)
        Worker.objects.filter(token=token, ended_at__isnull=True).update(ended_at=now())
        _note(token, by, CHANGE, gettext("Revoked"))
    try:
        broker.withdraw(token)
    except DomainError:  # it sees ids of submissions at most; the sweeper asks again
        log.warning("worker token %s keeps its user in Redis for now", token, exc_info=True)


def withdraw_revoked() -> None:
    """Take users of revoked tokens from Redis that it still has."""
    for token in WorkerToken.objects.filter(revoked_at__isnull=False):
        broker.withdraw(token)


def _open_runs(token: WorkerToken) -> list[EvaluationRun]:
    rows = EvaluationRun.objects.filter(token=token, outcome=Outcome.RUNNING)
    return list(rows.select_related("submission"))


def _note(token: WorkerToken, by: User, act: int, message: str) -> None:
    LogEntry.objects.log_actions(by.pk, [token], act, message, single_object=True)
