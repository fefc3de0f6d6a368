"""Holding what a worker is busy with: renewed while it works; free of Django."""

import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

log = logging.getLogger(__name__)

# What a supervisor sees when a worker ends itself; sysexits calls it EX_SOFTWARE.
HUNG_EXIT_CODE = 70
# So often progress is written while it changes; a renewal writes it in any case.
PROGRESS_EVERY_S = 2.0


class PlatformAway(Exception):
    """The platform can't be asked at the moment."""


class Hold(Protocol):
    """What a worker has claimed."""

    @property
    def lease_s(self) -> float:
        """So long it is kept after the last renewal."""

    @property
    def heartbeat_s(self) -> float:
        """So often it is renewed."""

    def renew(self, progress: Mapping[str, Any]) -> bool:
        """Keep the lease; return False if this attempt no longer holds it.

        Raises:
            PlatformAway: nobody can say.
        """

    def let_go(self) -> None:
        """Close what only the renewing thread has used."""


class Lease:
    """Renews a claim in a thread and carries progress with it.

    Everybody who waits for work asks ``should_stop``: it becomes true when the row was cancelled
    or taken over (``is_lost``), or when the worker is to end and can give the row back. Work that
    passes ``deadline`` hangs in code that can't be asked: the process ends and the sweeper hands
    the row to another.
    """

    def __init__(
        self,
        hold: Hold,
        *,
        deadline: timedelta,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._hold = hold
        self._is_ending = is_ending
        self._deadline = time.monotonic() + deadline.total_seconds()
        self._progress: dict[str, object] = {}
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._lost = threading.Event()
        self._seen_at = self._told_at = time.monotonic()
        self._longest_gap = 0.0
        # What this thread has told the logs about the work holds for the other one too.
        keep = partial(contextvars.copy_context().run, self._keep)
        self._thread = threading.Thread(target=keep, name="lease", daemon=True)

    @property
    def is_lost(self) -> bool:
        return self._lost.is_set()

    @property
    def should_stop(self) -> bool:
        return self.is_lost or self._is_ending()

    @property
    def was_frozen(self) -> bool:
        """Say whether this process stood still for long: then no clock says how slow a job is."""
        gap = max(self._longest_gap, time.monotonic() - self._seen_at)
        return gap > self._hold.lease_s

    def report(self, step: str, done: int = 0, of: int = 0) -> None:
        """Tell those who watch what is being done; a new step at once."""
        is_new_step = self._progress.get("step") != step
        self._tell(is_new_step, step=step, progress_done=done, progress_of=of)

    def count(self, done: int, of: int) -> None:
        """Tell how far work without steps has come."""
        self._tell(False, progress_done=done, progress_of=of)

    def _tell(self, at_once: bool, **progress: object) -> None:
        self._progress = progress
        if at_once or time.monotonic() - self._told_at > PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            self._changed.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._changed.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            while True:
                self._changed.wait(self._hold.heartbeat_s)
                self._changed.clear()
                self._note_time()
                if self._closing.is_set():
                    return
                if time.monotonic() > self._deadline:
                    log.critical("%r hangs: this worker ends", self._hold)
                    os._exit(HUNG_EXIT_CODE)
                if not self.is_lost:  # else nothing to keep, but the work may hang all the same
                    self._renew()
                    self._note_time()
        finally:
            self._hold.let_go()

    def _note_time(self) -> None:
        moment = time.monotonic()
        self._longest_gap = max(self._longest_gap, moment - self._seen_at)
        self._seen_at = moment

    def _renew(self) -> None:
        try:
            if not self._hold.renew(self._progress):
                self._lost.set()
        except PlatformAway:
            # The next beat tries again; if the platform stays away the lease runs out, and then
            # the attempt's number keeps this worker's scores out.
            log.warning("could not renew the lease of %r", self._hold, exc_info=True)
