"""One sandbox as the worker sees it: start it, wait until it is ready, end it for certain."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from evaluation.sandbox import staging
from evaluation.sandbox.cgroups import OutOfMemory, make_group
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.confining import most_threads
from evaluation.sandbox.diagnosis import explain
from evaluation.sandbox.printed import Printed
from evaluation.sandbox.protocol import MAX_MESSAGE, read_ready
from evaluation.sandbox.runtime import Bind
from evaluation.sandbox.slots import Slot
from evaluation.sandbox.values import SandboxUnavailable
from styletransfer.errors import CheckpointRejected

_KEEPER = Path(__file__).parent / "keeper.py"
_STAGE = "/tmp"  # noqa: S108 - as the keeper has it
_END_S = 10.0
_POLL_S = 0.2
_PATIENT = 10
_CAP_SYS_NICE = 23


class Sandbox:
    """A started sandbox. It takes one job and is never used again."""

    def __init__(self, profile: Profile, *, is_patient: bool = False) -> None:
        """Start one; a patient one warms up at low priority, until ``hurry`` is called."""
        binds = profile.binds()
        self.printed = ""
        """The last that was printed inside; known once it has ended."""
        self.out_of_memory: OutOfMemory | None = None
        """Whether the kernel killed it for want of memory; known once it has ended."""
        self._is_ended = False
        self._slot = Slot() if os.geteuid() == 0 else None
        # Only who may raise a priority again lowers one: a job is never run at it.
        self._is_patient = is_patient and self._slot is not None and _may_raise_priorities()
        try:
            self._start(profile, binds)
        except BaseException:
            if self._slot is not None:
                self._slot.release()
            raise

    def _start(self, profile: Profile, binds: tuple[Bind, ...]) -> None:
        stage, pairs = _placed(binds, is_root=self._slot is not None)
        self._group = make_group()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self.control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(self.control)
            theirs.enter_context(inside)
            seccomp = os.open(profile.first_filter(), os.O_RDONLY | os.O_CLOEXEC)
            theirs.callback(os.close, seccomp)
            if self._group is not None:
                ours.callback(self._group.remove)
            # Our hold on it: when this end is closed, whichever way, everything ends.
            held, self._lifeline = _pipe(read=theirs, write=ours)
            reading, printing = _pipe(read=ours, write=theirs)
            plan = {
                "command": profile.command(pairs, control=inside.fileno(), seccomp=seccomp),
                "limits": profile.limits,
                "stage": stage,
                "uid": self.uid,
                "nice": _PATIENT if self._is_patient else 0,
                "group": None if self._group is None else str(self._group.processes),
            }
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", _KEEPER],
                stdin=held,
                stdout=printing,
                stderr=printing,
                env=_keeper_environment(),
                pass_fds=(inside.fileno(), seccomp),
                start_new_session=True,  # Ctrl-C is for the worker, which then closes its pool
            )
            ours.pop_all()
        self._printed = Printed(reading)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, json.dumps(plan).encode() + b"\n")

    @property
    def pid(self) -> int:
        """The keeper's process id: bubblewrap and the runner are below it."""
        return self._process.pid

    @property
    def uid(self) -> int | None:
        """The user id made for it; None where it runs under the worker's own."""
        return None if self._slot is None else self._slot.uid

    def is_alive(self) -> bool:
        """Say whether bubblewrap still runs."""
        return self._process.poll() is None

    def wait_ready(self, timeout: float, give_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until everything inside is imported and warmed up.

        Raises:
            SandboxUnavailable: it ended, or said something else, or took too long.
        """
        deadline = time.monotonic() + timeout
        message = None
        while message is None and time.monotonic() < deadline and not give_up():
            message = self.receive(_POLL_S)
        if message is None:
            self.end()
            raise SandboxUnavailable(f"The sandbox was not ready within {timeout:.0f} s.")
        problem = read_ready(message)
        if problem is not None:
            if not message:
                self.wait_for_exit(_END_S)
            self.end()
            raise SandboxUnavailable(explain(self.printed, problem))

    def hurry(self) -> None:
        """Give it the priority that a job runs at."""
        if self._is_patient and self.uid is not None:
            self._is_patient = False
            with contextlib.suppress(ProcessLookupError):  # it died
                os.setpriority(os.PRIO_USER, self.uid, os.getpriority(os.PRIO_PROCESS, 0))

    def receive(self, timeout: float) -> bytes | None:
        """Return the next packet; None if there is none yet, empty if it hung up."""
        self.control.settimeout(timeout)
        try:
            # Descriptors that come along are dropped by the kernel: we don't ask for any.
            return self.control.recv(MAX_MESSAGE + 1)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    def wait_for_exit(self, timeout: float) -> int | None:
        """Return bubblewrap's exit status (128 + signal for a killed one), None if it runs on."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code  # the keeper itself was killed

    def end(self) -> None:
        """Kill everything in it and wait until nothing is left. May be called again."""
        if self._is_ended:
            return
        self._is_ended = True
        os.close(self._lifeline)
        self.control.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.note_out_of_memory()
        if self._group is not None:
            self._group.remove()
        if self._slot is not None:
            self._slot.release()
        self.printed = self._printed.text()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """End it after a block, before anything that comes of it is looked at."""
        try:
            yield
        except CheckpointRejected as error:
            self.end()
            if self.printed:  # the owner may learn from it
                error.add_note(self.printed)
            raise
        finally:
            self.end()

    def limit(self, *, memory_bytes: int, threads: int) -> None:
        """Limit the whole sandbox for a job, where the kernel offers it."""
        if self._group is not None:
            # bubblewrap, the keeper, and what a change of limits may meet on its way out
            self._group.limit(memory_bytes=memory_bytes, processes=most_threads(threads) + 8)

    def note_out_of_memory(self) -> OutOfMemory | None:
        """Ask the kernel whether it killed for want of memory."""
        if self._group is not None and self.out_of_memory is None:
            self.out_of_memory = self._group.out_of_memory()
        return self.out_of_memory


def _pipe(*, read: contextlib.ExitStack, write: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    read.callback(os.close, ends[0])
    write.callback(os.close, ends[1])
    return ends


def _placed(
    binds: tuple[Bind, ...], *, is_root: bool
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Decide what the keeper mounts where, and where bubblewrap then finds the sources."""
    if not is_root:
        return [], [(str(bind.source), bind.target) for bind in binds]
    by_mounting = staging.may_mount()
    binds = staging.readable(binds, by_mounting=by_mounting)
    if not by_mounting:
        return [], [(str(bind.source), bind.target) for bind in binds]
    stage = [(str(bind.source), f"{_STAGE}/{i}") for i, bind in enumerate(binds)]
    places = [(place, bind.target) for (_, place), bind in zip(stage, binds, strict=True)]
    return stage, places


def _may_raise_priorities() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
    return False


def _keeper_environment() -> dict[str, str]:
    # Some builds of Python find their own shared library only by this.
    path = os.environ.get("LD_LIBRARY_PATH")
    return {} if path is None else {"LD_LIBRARY_PATH": path}
