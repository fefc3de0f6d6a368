"""What workers on other machines ask and tell, over HTTPS: see docs/api.md.

A message from the broker only names a submission. Everything else goes through here, by the same
services that workers inside call.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from competitions.errors import Conflict, Invalid
from competitions.models import Pair, ReferenceSet
from competitions.queues import CHECKS, key_prefix
from evaluation import services
from evaluation.assigning import describe
from evaluation.gateway import broker, reports
from evaluation.gateway.access import (
    WorkerView,
    body_of,
    holding,
    lost,
    require_held,
    run_of,
    token_of,
)
from evaluation.gateway.files import address_of
from evaluation.models import Outcome, Stage, Worker
from evaluation.presence import platform_version
from evaluation.row_lease import next_expiry
from evaluation.worker_token import WorkerToken
from submissions import dispatch
from submissions.models import Submission

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
LARGEST_CHECK = 64 << 10
BLOCK_BYTES = 1 << 20


class Join(WorkerView):
    """Tell a worker its queue, its broker and its rhythm, and enter it among the workers."""

    def post(self, request: Request) -> Response:
        token, told = token_of(request), body_of(request)
        if told.get("version") != platform_version():
            raise Conflict(
                "other_version",
                _("This site runs version %(version)s: install the same on the worker.")
                % {"version": platform_version()},
                version=platform_version(),
            )
        broker.require_reachable()
        worker = _enter(token, told)
        if not worker.sandbox_check["is_ok"]:
            raise Conflict("no_walls", _("Without a sandbox a worker takes no submissions."))
        unchecked = token.queue == CHECKS
        return Response(
            {
                "worker": worker.name,
                "queue": token.queue,
                "tasks": [dispatch.CHECK if unchecked else dispatch.EVALUATE],
                "broker": {
                    "url": broker.grant(token),
                    "options": {
                        "visibility_timeout": settings.CELERY_BROKER_TRANSPORT_OPTIONS[
                            "visibility_timeout"
                        ],
                        "global_keyprefix": key_prefix(token.queue),
                    },
                },
                "beat_s": settings.WORKER_BEAT.total_seconds(),
            }
        )


def _enter(token: WorkerToken, told: Mapping[str, Any]) -> Worker:
    """Register a worker as it describes itself, by a name that none inside can have."""
    name, device, threads = told.get("name"), told.get("device"), told.get("threads")
    check = told.get("sandbox_check")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise Invalid("bad_worker", _("A worker’s name has letters, digits, dots and dashes."))
    if not (isinstance(device, str) and len(device) <= 120 and isinstance(threads, int)):
        raise Invalid("bad_worker", _("The worker does not describe itself as it has to."))
    if not isinstance(check, dict) or len(json.dumps(check)) > LARGEST_CHECK:
        raise Invalid("bad_worker", _("The worker does not describe itself as it has to."))
    refused = check.get("is_ok") is not True
    return Worker.objects.update_or_create(
        name=worker_name(token, name),
        defaults={
            "token": token,
            "version": str(told["version"]),
            "device": device,
            "threads": max(1, min(threads, 4096)),
            "queues": [token.queue],
            "sandbox_check": check,
            "started_at": Now(),
            "seen_at": Now(),
            "ended_at": Now() if refused else None,
        },
    )[0]


def worker_name(token: WorkerToken, name: str) -> str:
    return f"{token.queue}@{name}.{token.pk}"


class Beat(WorkerView):
    """Note that a worker is there, or that it ends."""

    def post(self, request: Request) -> Response:
        token, told = token_of(request), body_of(request)
        known = Worker.objects.filter(token=token, name=str(told.get("worker")))
        ended = Now() if told.get("is_ending") is True else None
        if not known.update(seen_at=Now(), ended_at=ended):
            raise Conflict("not_joined", _("This worker is not known: let it join again."))
        if ended is None and not broker.is_granted(token):  # Redis was started anew
            broker.grant(token)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Claim(WorkerView):
    """Begin an attempt at a submission that waits in the token's queue."""

    def post(self, request: Request) -> Response:
        token, told = token_of(request), body_of(request)
        known = Worker.objects.filter(token=token, name=str(told.get("worker"))).first()
        if known is None or known.sandbox_check.get("is_ok") is not True:
            raise Conflict("not_joined", _("This worker is not known: let it join again."))
        submission = _waiting(token, told.get("submission"))
        if submission is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        stage = Stage.CHECK if token.queue == CHECKS else Stage.SCORE
        run = services.begin(submission, stage, worker=known.name, token=token)
        if run is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(
            {
                "assignment": describe(run).to_json(),
                "lease_s": settings.EVALUATION_LEASE.total_seconds(),
                "heartbeat_s": settings.EVALUATION_HEARTBEAT.total_seconds(),
            },
            status=status.HTTP_201_CREATED,
        )


def _waiting(token: WorkerToken, submission: object) -> Submission | None:
    """Return a submission that waits in the token's queue; any other is not there for it."""
    try:
        pk = UUID(str(submission))
    except ValueError as error:
        raise Invalid("bad_submission", _("This is not the id of a submission.")) from error
    rows = dispatch.waiting_in(token.queue).filter(pk=pk)
    return rows.select_related("phase__recipe", "phase__reference_set", "team").first()


class Renew(WorkerView):
    """Keep a claim, and tell how far the work is."""

    def post(self, request: Request, pk: int) -> Response:
        run = run_of(request, pk)
        progress = reports.read_progress(body_of(request))
        if run.outcome != Outcome.RUNNING or not holding(run).renew(
            lease_expires_at=next_expiry(), **progress
        ):
            raise lost()
        return Response(status=status.HTTP_204_NO_CONTENT)


class Files(WorkerView):
    """Tell where the files of an attempt are, for a few minutes."""

    def get(self, request: Request, pk: int) -> Response:
        run = run_of(request, pk)
        require_held(run)
        recipe = run.submission.phase.recipe
        return Response(
            {
                "checkpoint": address_of(run, "checkpoint"),
                "discriminator": address_of(run, "discriminator") if recipe.discriminator else None,
            }
        )


class References(WorkerView):
    """Tell what a reference set is made of and where its images are, for a few minutes."""

    def get(self, request: Request, pk: int) -> Response:
        run = run_of(request, pk)
        require_held(run)
        chosen: ReferenceSet = run.submission.phase.reference_set
        rows = chosen.images.order_by("role", "position")
        pairs = Pair.objects.filter(reference_set=chosen).order_by("position")
        return Response(
            {
                "images": [
                    {
                        "id": row.pk,
                        "role": row.role,
                        "pixels_sha256": row.pixels_sha256,
                        "url": address_of(run, "image", row.pk),
                    }
                    for row in rows
                ],
                "pairs": list(pairs.values_list("content_id", "style_id")),
            }
        )
