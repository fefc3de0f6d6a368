"""Who a worker elsewhere is, and which runs are its own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.shortcuts import get_object_or_404
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from competitions.errors import Conflict, Invalid
from evaluation.models import EvaluationRun, Outcome
from evaluation.worker_token import WorkerToken
from submissions.models import Submission

STAMP_EVERY = timedelta(minutes=1)


class WorkerTokenAuthentication(BaseAuthentication):
    """Know a worker by ``Authorization: Worker <key>``; a revoked token is none at once."""

    keyword = "Worker"

    def authenticate(self, request: Request) -> tuple[AnonymousUser, WorkerToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != self.keyword.lower().encode():
            return None
        token = WorkerToken.objects.find(words[1].decode("latin-1")) if len(words) == 2 else None
        if token is None:
            detail = _("This worker token is not valid: it was revoked, or never was one.")
            raise AuthenticationFailed(detail, code="bad_token")
        _stamp(token)
        return AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return f'{self.keyword} realm="workers"'


def _stamp(token: WorkerToken) -> None:
    """Note that the token was used; at most once a minute, as every write locks SQLite."""
    at = now()
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=at - STAMP_EVERY)
    if token.last_used_at is None or token.last_used_at <= at - STAMP_EVERY:
        WorkerToken.objects.filter(stale, pk=token.pk).update(last_used_at=at)


class HasWorkerToken(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, WorkerToken)


class WorkerThrottle(SimpleRateThrottle):
    scope = "worker"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return f"worker-{token_of(request).pk}"


class WorkerView(APIView):
    """One act of a worker elsewhere."""

    authentication_classes = [WorkerTokenAuthentication]
    permission_classes = [HasWorkerToken]
    throttle_classes = [WorkerThrottle]


def token_of(request: Request) -> WorkerToken:
    if not isinstance(request.auth, WorkerToken):  # the permission has made sure
        raise TypeError("no worker token")
    return request.auth


def run_of(request: Request, pk: int) -> EvaluationRun:
    """Return a run that the token has claimed; any other is not there.

    Raises:
        Http404: it is not the token's.
    """
    rows = EvaluationRun.objects.select_related(
        "submission__phase__recipe", "submission__phase__reference_set", "submission__team"
    )
    return get_object_or_404(rows, pk=pk, token=token_of(request))


def require_held(run: EvaluationRun) -> None:
    """Make sure that a run still holds its submission.

    Raises:
        Conflict: it was cancelled, taken over, reported, or its lease ran out.
    """
    held = Submission.objects.held().filter(pk=run.submission_id, attempt=run.attempt)
    if run.outcome != Outcome.RUNNING or not held.exists():
        raise lost()


def lost(**facts: Any) -> Conflict:
    """Return the answer to whoever no longer holds what it reports on."""
    detail = _("This attempt is over: the submission was cancelled, or another worker has it.")
    return Conflict("attempt_over", detail, **facts)


def holding(run: EvaluationRun) -> Submission:
    """Return the submission as the run's attempt sees it: whoever took it since is not touched."""
    run.submission.attempt = run.attempt
    return run.submission


def body_of(request: Request) -> Mapping[str, Any]:
    if not isinstance(request.data, Mapping):
        raise Invalid("bad_body", _("Send a JSON object."))
    return request.data
