"""What is tidied up now and then: old pictures, files without rows, rows of workers long gone.

All of it may be done by any number of processes at once and broken off at any time.
"""

import logging
import threading
from datetime import timedelta

from django.core.cache import cache
from django.db import close_old_connections
from django.db.models import Q
from django.db.models.functions import Now

from evaluation.models import Worker
from evaluation.retention import remove_old_outputs
from evaluation.stored_files import remove_orphans

log = logging.getLogger(__name__)

PAUSE = timedelta(minutes=5)
LOOK_FOR_ORPHANS_EVERY = timedelta(days=1)
ORPHANS_AT_ONCE = 10_000
WORKERS_KEPT_FOR = timedelta(days=7)


def tidy_until(stopped: threading.Event) -> None:
    """Tidy up, again and again. Made for a thread: a slow storage delays nothing else."""
    while not stopped.is_set():
        try:
            tidy()
        except Exception:  # whatever it is: a thread that ends would tidy nothing later
            log.exception("could not tidy up; the next round tries again")
        close_old_connections()
        stopped.wait(PAUSE.total_seconds())


def tidy() -> None:
    forget_workers()
    remove_old_outputs()
    # One look for all sweepers: it walks through the whole storage.
    seconds = LOOK_FOR_ORPHANS_EVERY.total_seconds()
    if cache.add("orphans-looked-for", True, timeout=seconds):
        remove_orphans(ORPHANS_AT_ONCE)


def forget_workers() -> int:
    """Remove the rows of workers that ended, or were last heard of, long ago."""
    long_ago = Now() - WORKERS_KEPT_FOR
    gone = Worker.objects.filter(Q(ended_at__lt=long_ago) | Q(seen_at__lt=long_ago))
    return gone.delete()[0]
