"""What an evaluation worker sets up once: its sandboxes, proven before the first submission."""

import logging
import sys
from functools import cache
from typing import Any

from celery.signals import worker_init, worker_shutdown

from evaluation.sandbox import SandboxPool, SandboxUnavailable, self_test

log = logging.getLogger(__name__)


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


@worker_shutdown.connect
def _close_sandboxes(**_kwargs: Any) -> None:
    if sandboxes.cache_info().currsize:
        sandboxes().close()
