"""Keep sandboxes warm: importing everything takes seconds, handing over a job milliseconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.session import (
    OnPicture,
    OnProgress,
    ShouldStop,
    convert_state_dict,
    run_generator,
)
from evaluation.sandbox.values import (
    GeneratorJob,
    Limits,
    SandboxStopped,
    SandboxUnavailable,
    Stylised,
)

_READY_S = 120.0
_POLL_S = 0.2
_LOOK_S = 5.0


class SandboxPool:
    """A few sandboxes that are ready before a job comes.

    Every job gets a fresh one and ends it; none is ever used again. They are started at low
    priority, and between jobs, so that a generator's time is not measured against our own imports;
    with ``refills_beside_jobs`` at once, where soon is more than exact. A pool runs one job at a
    time and belongs to one process: make it after forking.
    """

    def __init__(
        self, size: int = 1, *, profile: Profile | None = None, refills_beside_jobs: bool = False
    ) -> None:
        if size < 1:
            raise ValueError("a pool holds at least one sandbox")
        self._size = size
        self._refills_beside_jobs = refills_beside_jobs
        self._profile = profile or Profile()
        self._ready: deque[Sandbox] = deque()
        self._starting: Sandbox | None = None
        self._is_awaited = False
        self._changed = threading.Condition()
        self._problem: SandboxUnavailable | None = None
        self._is_closed = False
        self._is_busy = False
        self._job = threading.Lock()
        self._thread = threading.Thread(target=self._refill, name="sandbox-pool", daemon=True)
        self._thread.start()

    def run(
        self,
        job: GeneratorJob,
        limits: Limits,
        *,
        on_progress: OnProgress | None = None,
        on_picture: OnPicture | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Stylised:
        """Run one generator in a fresh sandbox; wait for one if none is ready.

        Raises:
            CheckpointRejected: the participant's fault.
            SandboxUnavailable: the platform's fault; nothing was learnt about the checkpoint.
            SandboxStopped: ``should_stop`` became true.
        """
        with self._fresh(should_stop) as sandbox:
            return run_generator(
                sandbox,
                job,
                limits,
                on_progress=on_progress,
                on_picture=on_picture,
                should_stop=should_stop,
            )

    def convert(
        self,
        source: Path,
        target: Path,
        *,
        wall_s: float,
        should_stop: ShouldStop | None = None,
    ) -> None:
        """Turn a file of `torch.save` into safetensors in a fresh sandbox, not to be trusted yet.

        Raises:
            CheckpointRejected, SandboxUnavailable, SandboxStopped: as above.
        """
        with self._fresh(should_stop) as sandbox:
            convert_state_dict(sandbox, source, target, wall_s=wall_s, should_stop=should_stop)

    def wait_until_ready(self, timeout: float = _READY_S) -> None:
        """Wait until the pool is full, so that the next job starts at once.

        Raises:
            SandboxUnavailable: a sandbox can't be built, or not in time.
        """
        deadline = time.monotonic() + timeout
        with self._changed, self._awaiting():
            while len(self._ready) < self._size:
                if self._problem is not None:
                    raise self._problem
                if self._starting is not None:
                    self._starting.hurry()
                if time.monotonic() > deadline:
                    raise SandboxUnavailable(f"No sandbox was ready after {timeout:.0f} s.")
                self._changed.wait(_POLL_S)

    def close(self) -> None:
        """End every sandbox; later calls of ``run`` are refused. May be called again."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        while self._ready:
            self._ready.popleft().end()

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _fresh(self, should_stop: ShouldStop | None) -> Iterator[Sandbox]:
        """Give one job a sandbox of its own, while no other runs."""
        with self._job:
            sandbox = self._take(should_stop)
            try:
                yield sandbox
            finally:
                sandbox.end()
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()

    def _take(self, should_stop: ShouldStop | None) -> Sandbox:
        with self._changed:
            self._problem = None  # whatever was wrong before: this job wants a new attempt
            self._changed.notify_all()
            with self._awaiting():
                sandbox = self._wait_for_one(should_stop)
            self._is_busy = True
            if self._refills_beside_jobs:
                self._changed.notify_all()
        sandbox.hurry()
        return sandbox

    @contextmanager
    def _awaiting(self) -> Iterator[None]:
        """Have what is started meanwhile started at full speed."""
        self._is_awaited = True
        try:
            yield
        finally:
            self._is_awaited = False

    def _wait_for_one(self, should_stop: ShouldStop | None) -> Sandbox:
        while True:
            if self._is_closed:
                raise SandboxUnavailable("The sandbox pool is closed.")
            self._drop_dead()
            if self._ready:
                return self._ready.popleft()
            if self._problem is not None:
                raise self._problem
            if self._starting is not None:
                self._starting.hurry()
            self._changed.notify_all()  # a dead one may have to be replaced
            self._changed.wait(_POLL_S)
            if should_stop is not None and should_stop():
                raise SandboxStopped

    def _refill(self) -> None:
        """Start sandboxes for as long as the pool lives."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._wants_another(), _LOOK_S)
                if self._is_closed:
                    return
                self._drop_dead()
                if not self._wants_another():
                    continue
            self._add(self._start())

    def _start(self) -> Sandbox | SandboxUnavailable:
        try:
            sandbox = Sandbox(self._profile, is_patient=not self._is_awaited)
            with self._changed:
                self._starting = sandbox
            sandbox.wait_ready(_READY_S, give_up=lambda: self._is_closed)
        except SandboxUnavailable as error:
            return error
        except Exception as error:  # noqa: BLE001 - this thread must outlive every surprise
            return SandboxUnavailable(f"The sandbox could not be started: {error!r}")
        return sandbox

    def _add(self, made: Sandbox | SandboxUnavailable) -> None:
        with self._changed:
            self._starting = None
            if isinstance(made, Sandbox):
                self._ready.append(made)
            else:
                self._problem = made  # no further attempt until a job asks for one
            self._changed.notify_all()

    def _wants_another(self) -> bool:
        may_start = self._refills_beside_jobs or not self._is_busy
        return self._problem is None and may_start and len(self._ready) < self._size

    def _drop_dead(self) -> None:
        for sandbox in [waiting for waiting in self._ready if not waiting.is_alive()]:
            self._ready.remove(sandbox)
            sandbox.end()
