"""A Celery worker on another machine: no database, one queue, one token; free of Django."""

import logging
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_shutting_down
from structlog.contextvars import bound_contextvars

from evaluation.attempts import make_attempt
from evaluation.lease import PlatformAway
from evaluation.remote.desk import RemoteDesk
from evaluation.remote.file_cache import FileCache
from evaluation.remote.platform_client import Platform, Refused, TokenRefused
from evaluation.sandbox import (
    Finding,
    LeakySandbox,
    SandboxPool,
    SandboxUnavailable,
    self_test,
)
from evaluation.workplace import Workplace
from styletransfer.errors import StyleTransferError

log = logging.getLogger(__name__)


class NoWalls(StyleTransferError):
    """There is no sandbox here, so no checkpoint is opened here."""


@dataclass(frozen=True)
class Options:
    """What the command was given."""

    name: str
    folder: Path
    device: str
    threads: int
    weights: Path | None
    ca_file: Path | None
    cache_bytes: int


@dataclass(frozen=True)
class Joined:
    """What the platform has answered to a worker that joins."""

    worker: str
    queue: str
    tasks: Sequence[str]
    broker_url: str
    broker_options: Mapping[str, Any]
    beat_s: float


class RemoteWorker:
    """Joins, works, and says that it is there, until it is told to end."""

    def __init__(self, platform: Platform, options: Options) -> None:
        self._platform, self._options = platform, options
        self._ending = threading.Event()
        self._sandbox_check: dict[str, Any] = {}
        for name in ("files", "features", "tmp"):
            (options.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._cache = FileCache(options.folder / "files", limit_bytes=options.cache_bytes)
        self._place = Workplace(
            threads=options.threads,
            device=options.device,
            feature_cache=options.folder / "features",
            weights=options.weights,
            temporary=options.folder / "tmp",
            sandboxes=cache(lambda: SandboxPool(size=1)),
        )

    def run(self) -> None:
        """Work until somebody ends this process.

        Raises:
            NoWalls: there is no sandbox here; the platform was told.
            Refused, PlatformAway: the platform does not let it join.
        """
        self._try_sandbox()
        joined = self._join()
        self._place.sandboxes()
        beating = threading.Thread(target=self._beat, args=(joined,), name="presence", daemon=True)
        beating.start()
        log.info("joined as %s: takes work from %s", joined.worker, joined.queue)
        try:
            self._consume(joined)
        finally:
            self._ending.set()
            beating.join()
            self._say_goodbye(joined)
            self._place.sandboxes().close()

    def _try_sandbox(self) -> None:
        try:
            self._sandbox_check = in_words(self_test())
        except SandboxUnavailable as error:
            findings = error.findings if isinstance(error, LeakySandbox) else []
            self._sandbox_check = in_words(findings, problem=str(error))
            try:
                self._join()
            except (Refused, PlatformAway):
                log.debug("told of the missing sandbox", exc_info=True)
            raise NoWalls(f"no sandbox, so no submissions are taken: {error}") from error

    def _join(self) -> Joined:
        told = {
            "name": self._options.name,
            "version": installed_version(),
            "device": self._options.device,
            "threads": self._options.threads,
            "sandbox_check": self._sandbox_check,
        }
        answer = self._platform.ask("POST", "join/", told)
        return Joined(
            worker=answer["worker"],
            queue=answer["queue"],
            tasks=answer["tasks"],
            broker_url=answer["broker"]["url"],
            broker_options=answer["broker"]["options"],
            beat_s=answer["beat_s"],
        )

    def _consume(self, joined: Joined) -> None:
        app = make_app(joined, self._work, ca_file=self._options.ca_file)

        def end(**_facts: Any) -> None:
            self._ending.set()

        worker_shutting_down.connect(end)
        setup_logging.connect(_leave_logging_alone)
        app.Worker(
            hostname=joined.worker,
            queues=[joined.queue],
            pool="solo",
            loglevel="INFO",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        ).start()

    def _work(self, joined: Joined, submission: str) -> None:
        """Claim a submission, if it still waits, and make an attempt at it."""
        if self._ending.is_set():
            return  # the platform sends another message, which finds another worker
        told = {"submission": submission, "worker": joined.worker}
        with bound_contextvars(submission=submission):
            try:
                claimed = self._platform.ask("POST", "claim/", told, patient=False)
            except (Refused, PlatformAway) as error:
                log.warning("submission %s could not be claimed: %s", submission, error)
                return
            if claimed is None:
                log.info("submission %s is not waiting: nothing to do", submission)
                return
            desk = RemoteDesk(self._platform, self._cache, claimed, self._place.temporary)
            make_attempt(desk, self._place, worker=joined.worker, is_ending=self._ending.is_set)

    def _beat(self, joined: Joined) -> None:
        while not self._ending.wait(joined.beat_s):
            try:
                self._platform.ask("POST", "beat/", {"worker": joined.worker}, patient=False)
            except TokenRefused as error:
                log.critical("this worker ends: %s", error)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except Refused as error:
                log.warning("joining again: %s", error)
                self._join_again()
            except PlatformAway:
                log.warning("the platform is away", exc_info=True)

    def _join_again(self) -> None:
        try:
            self._join()
        except (Refused, PlatformAway):
            log.warning("could not join again", exc_info=True)

    def _say_goodbye(self, joined: Joined) -> None:
        told = {"worker": joined.worker, "is_ending": True}
        try:
            self._platform.ask("POST", "beat/", told, patient=False)
        except (Refused, PlatformAway):
            log.info("the platform will miss this worker by itself")


def make_app(
    joined: Joined, work: Callable[[Joined, str], None], *, ca_file: Path | None
) -> Celery:
    """Return a Celery app that takes messages of one queue and sends none."""
    app = Celery("stylearena-worker", broker=joined.broker_url, fixups=[], set_as_current=False)
    app.conf.update(
        broker_transport_options=dict(joined.broker_options),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_default_queue=joined.queue,
        task_create_missing_queues=True,
        accept_content=["json"],
        task_serializer="json",
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
    )
    if joined.broker_url.startswith("rediss:"):
        app.conf.broker_use_ssl = {
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            **({"ssl_ca_certs": str(ca_file)} if ca_file else {}),
        }

    def take(submission: str) -> None:
        work(joined, submission)

    for name in joined.tasks:
        app.task(name=name, shared=False)(take)
    return app


def in_words(findings: Sequence[Finding], problem: str = "") -> dict[str, Any]:
    """Describe what trying the sandbox has found."""
    return {
        "is_ok": not problem,
        "problem": problem,
        "checked_at": datetime.now(UTC).isoformat(),
        "findings": [asdict(finding) for finding in findings],
    }


def installed_version() -> str:
    try:
        return version("stylearena")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


def _leave_logging_alone(**_facts: Any) -> None:
    """Keep Celery from formats of its own: whoever listens to this signal has seen to it."""


def set_up_logs() -> None:
    """Write lines to standard error."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("httpx", "httpcore"):  # a line for each request, with addresses that open files
        logging.getLogger(name).setLevel(logging.WARNING)
