"""What an evaluation worker sets up once: its sandboxes, proven before the first submission."""

import logging
import sys
import threading
from functools import cache
from typing import Any

from celery.signals import worker_init, worker_shutdown, worker_shutting_down

from evaluation.sandbox import SandboxPool, SandboxUnavailable, self_test

log = logging.getLogger(__name__)
_ending = threading.Event()


@cache
def sandboxes() -> SandboxPool:
    """Return this worker's pool; one sandbox is kept warm for the next submission."""
    return SandboxPool(size=1)


@worker_init.connect
def _refuse_to_start_unsafely(**_kwargs: Any) -> None:
    # Fail closed: without a sandbox no checkpoint is opened. Submissions wait, nothing is lost.
    try:
        self_test()
    except SandboxUnavailable as error:
        log.critical("no sandbox, so this worker takes no submissions: %s", error)
        sys.exit(f"stylearena: no sandbox, so no submissions are taken: {error}")
    sandboxes()
    log.info("sandbox tested: ready for submissions")


def is_ending() -> bool:
    """Say whether this worker was asked to end: it then gives back what it holds."""
    return _ending.is_set()


@worker_shutting_down.connect
def _note_the_end(**_kwargs: Any) -> None:
    _ending.set()


@worker_shutdown.connect
def _close_sandboxes(**_kwargs: Any) -> None:
    if sandboxes.cache_info().currsize:
        sandboxes().close()
