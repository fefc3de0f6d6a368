"""What an evaluation worker sets up once: its sandboxes, proven before the first submission."""

import logging
import platform
import sys
import threading
from functools import cache
from typing import Any

from celery.signals import celeryd_init, worker_init, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.utils.timezone import now

from evaluation.presence import Presence
from evaluation.sandbox import SandboxPool, SandboxUnavailable, self_test

log = logging.getLogger(__name__)
_ending = threading.Event()
_presences: list[Presence] = []  # one at most, known once Celery has read its options


@cache
def sandboxes() -> SandboxPool:
    """Return this worker's pool; one sandbox is kept warm for the next submission."""
    return SandboxPool(size=1)


@celeryd_init.connect
def _note_who_this_is(
    sender: str | None = None, options: dict[str, Any] | None = None, **_kwargs: Any
) -> None:
    queues = (options or {}).get("queues") or [settings.CELERY_TASK_DEFAULT_QUEUE]
    names = queues.split(",") if isinstance(queues, str) else queues
    _presences[:] = [Presence(sender or platform.node(), queues=names)]


@worker_init.connect
def _refuse_to_start_unsafely(**_kwargs: Any) -> None:
    # Fail closed: without a sandbox no checkpoint is opened. Submissions wait, nothing is lost.
    try:
        self_test()
    except SandboxUnavailable as error:
        problem = {"is_ok": False, "problem": str(error), "checked_at": now().isoformat()}
        for presence in _presences:
            presence.refuse(sandbox_check=problem)
        log.critical("no sandbox, so this worker takes no submissions: %s", error)
        sys.exit(f"stylearena: no sandbox, so no submissions are taken: {error}")
    sandboxes()
    for presence in _presences:
        presence.begin(sandbox_check={"is_ok": True, "checked_at": now().isoformat()})
    log.info("sandbox tested: ready for submissions")


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
