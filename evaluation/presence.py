"""Let the database know which workers there are: one row each, renewed while the process lives."""

import logging
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models.functions import Now

from evaluation import signs_of_life
from evaluation.models import Worker

log = logging.getLogger(__name__)


def platform_version() -> str:
    try:
        return version("stylearena")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


class Presence:
    """Says in the database, again and again, that this worker is there.

    A database that is away is no reason to stop: the next beat says it again.
    """

    def __init__(self, name: str, *, queues: Sequence[str]) -> None:
        self._name = name
        self.queues = sorted(queues)
        self._sandbox_check: Mapping[str, Any] = {}
        self._is_registered = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="presence", daemon=True)

    def begin(self, *, sandbox_check: Mapping[str, Any]) -> None:
        """Enter the worker, and go on saying that it is there."""
        self._sandbox_check = sandbox_check
        self._beat()
        self._thread.start()

    def refuse(self, *, sandbox_check: Mapping[str, Any]) -> None:
        """Enter a worker that takes no submissions, for its operator to see why."""
        self._sandbox_check = sandbox_check
        self._write(self._register)
        self._write(self._note_end)

    def end(self) -> None:
        """Say that the worker ended: nobody has to wait until it is missed."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._write(self._note_end)

    def _keep(self) -> None:
        try:
            while not self._closing.wait(settings.WORKER_BEAT.total_seconds()):
                self._beat()
        finally:
            connection.close()  # this thread's own

    def _beat(self) -> None:
        self._write(self._renew if self._is_registered else self._register)
        signs_of_life.show()

    def _write(self, does: Any) -> None:
        try:
            does()
        except (DatabaseError, InterfaceError):
            log.warning("could not tell the database of worker %s", self._name, exc_info=True)
            connection.close()

    def _register(self) -> None:
        Worker.objects.update_or_create(
            name=self._name,
            defaults={
                "version": platform_version(),
                "device": settings.EVALUATION_DEVICE,
                "threads": settings.EVALUATION_THREADS,
                "queues": self.queues,
                "sandbox_check": dict(self._sandbox_check),
                "started_at": Now(),
                "seen_at": Now(),
                "ended_at": None,
            },
        )
        self._is_registered = True

    def _renew(self) -> None:
        # The row may have been removed meanwhile, or another process of this name have ended.
        alive = Worker.objects.filter(name=self._name)
        self._is_registered = alive.update(seen_at=Now(), ended_at=None) == 1

    def _note_end(self) -> None:
        Worker.objects.filter(name=self._name).update(ended_at=Now())
