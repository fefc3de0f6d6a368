"""What an evaluation worker sets up once: its sandboxes, proven before the first submission."""

import importlib
import logging
import platform
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from celery.signals import celeryd_init, worker_init, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.utils.timezone import now

from competitions.queues import CHECKS, key_prefix
from evaluation.presence import Presence
from evaluation.sandbox import Finding, LeakySandbox, SandboxPool, SandboxUnavailable, self_test
from evaluation.workplace import Workplace

log = logging.getLogger(__name__)
_ending = threading.Event()
_presences: list[Presence] = []  # one at most, known once Celery has read its options


@cache
def sandboxes() -> SandboxPool:
    """Return this worker's pool of sandboxes that are warm before a submission comes.

    A team waits for its check, which takes two for a state dict: one to convert, one to run it.
    They are there again as soon as may be; while a run is scored, its time is what matters.
    """
    is_for_checks = any(CHECKS in presence.queues for presence in _presences)
    size = settings.WARM_SANDBOXES or (2 if is_for_checks else 1)
    return SandboxPool(size, refills_beside_jobs=is_for_checks)


@cache
def workplace() -> Workplace:
    """Return what this worker works with, as the settings have it."""
    return Workplace(
        threads=settings.EVALUATION_THREADS,
        device=settings.EVALUATION_DEVICE,
        feature_cache=settings.FEATURE_CACHE_DIR,
        weights=settings.WEIGHTS_DIR,
        temporary=settings.FILE_UPLOAD_TEMP_DIR,
        sandboxes=sandboxes,
    )


@celeryd_init.connect
def _note_who_this_is(
    sender: str | None = None,
    options: dict[str, Any] | None = None,
    conf: Any = None,
    **_kwargs: Any,
) -> None:
    queues = (options or {}).get("queues") or [settings.CELERY_TASK_DEFAULT_QUEUE]
    names = queues.split(",") if isinstance(queues, str) else queues
    if conf is not None:
        _stay_within(names, conf)
    _presences[:] = [Presence(sender or platform.node(), queues=names)]


def _stay_within(queues: Sequence[str], conf: Any) -> None:
    """Have the connection use the keys of these queues, as those who send do."""
    prefixes = {key_prefix(queue) for queue in queues}
    if len(prefixes) > 1:
        sys.exit(f"stylearena: {', '.join(queues)}: start a worker for each of these queues")
    conf.broker_transport_options = {
        **conf.broker_transport_options,
        "global_keyprefix": prefixes.pop(),
    }


@worker_init.connect
def _refuse_to_start_unsafely(**_kwargs: Any) -> None:
    # Fail closed: without a sandbox no checkpoint is opened. Submissions wait, nothing is lost.
    try:
        findings = self_test()
    except SandboxUnavailable as error:
        findings = list(error.findings) if isinstance(error, LeakySandbox) else []
        for presence in _presences:
            presence.refuse(sandbox_check=_in_words(findings, problem=str(error)))
        log.critical("no sandbox, so this worker takes no submissions: %s", error)
        sys.exit(f"stylearena: no sandbox, so no submissions are taken: {error}")
    sandboxes()
    # Loads torch, which the first team would otherwise wait for.
    importlib.import_module("evaluation.runner")
    for presence in _presences:
        presence.begin(sandbox_check=_in_words(findings))
    log.info("sandbox tested: ready for submissions")


def _in_words(findings: Sequence[Finding], problem: str = "") -> dict[str, Any]:
    return {
        "is_ok": not problem,
        "problem": problem,
        "checked_at": now().isoformat(),
        "findings": [asdict(finding) for finding in findings],
    }


def is_ending() -> bool:
    """Say whether this worker was asked to end: it then gives back what it holds."""
    return _ending.is_set()


@worker_shutting_down.connect
def _note_the_end(**_kwargs: Any) -> None:
    _ending.set()


@worker_shutdown.connect
def _close(**_kwargs: Any) -> None:
    for presence in _presences:
        presence.end()
    if sandboxes.cache_info().currsize:
        sandboxes().close()
