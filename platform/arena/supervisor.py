"""Start programs, keep them running, show what they say, and leave nothing behind.

One thread, one loop: the kernel ties the life of a child to the *thread* that forked it, and only
a process without threads may run Python between fork and exec.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from arena.lifetime import ENABLED_BY, adopt_orphans, die_with_parent

FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
STEADY_AFTER_S = 30.0
LARGEST_LOG_BYTES = 10 * 1024 * 1024


class StopRequested(Exception):
    """Somebody pressed Ctrl-C, or the terminal or the service manager ended us."""


@dataclass(frozen=True)
class Program:
    """A command line and the name that its output is shown under."""

    name: str
    command: Sequence[str]


@dataclass
class Child:
    """A program in one of its lives."""

    program: Program
    keep: bool
    process: subprocess.Popen[bytes]
    output: int  # our end of the pipe that it writes to
    started: float = field(default_factory=time.monotonic)
    unfinished_line: bytes = b""


class Supervisor:
    """Run programs as children that die with this process, SIGKILL included.

    Use it as a context manager: leaving it stops everything that was started.
    """

    def __init__(self, *, log_dir: Path, env: dict[str, str], grace_s: float = 5.0) -> None:
        self._log_dir = log_dir
        self._env = {**env, ENABLED_BY: "1", "PYTHONUNBUFFERED": "1"}
        self._grace_s = grace_s
        self._children: dict[int, Child] = {}
        self._exit_codes: dict[str, int] = {}
        self._quick_failures: dict[str, int] = {}
        self._due: list[tuple[float, Program]] = []  # programs that wait for their next life
        self._stop_signals = 0
        self._is_stopping = False
        self._has_terminal = True
        self._selector = selectors.DefaultSelector()
        self._wake_up, self._waker = socket.socketpair()

    def __enter__(self) -> Self:
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        adopt_orphans()
        for end in (self._wake_up, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request_stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # started with nohup: stay
            signal.signal(signal.SIGHUP, self._request_stop)
        self._selector.register(self._wake_up, selectors.EVENT_READ)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def say(self, text: str) -> None:
        self._show("stylearena", text.encode())

    def run_step(self, program: Program) -> int:
        """Run a program to its end, while the others go on, and return its exit code."""
        self._exit_codes.pop(program.name, None)
        self._start(program, keep=False)
        self.wait_until(lambda: program.name in self._exit_codes)
        return self._exit_codes[program.name]

    def keep(self, program: Program) -> None:
        """Start a program, and start it again whenever it ends."""
        self._start(program, keep=True)

    def quick_failures(self, name: str) -> int:
        """Return how often in a row a kept program ended soon after its start."""
        return self._quick_failures.get(name, 0)

    def wait_until(
        self,
        is_done: Callable[[], bool],
        *,
        every_s: float = 1.0,
        timeout_s: float = float("inf"),
    ) -> bool:
        """Look after the children until ``is_done``; return whether that came true in time.

        Raises:
            StopRequested: everything is to end; leave the ``with`` block.
        """
        end = time.monotonic() + timeout_s
        while not is_done():
            if time.monotonic() >= end:
                return False
            self._turn(every_s)
            if self._stop_signals:
                raise StopRequested
        return True

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_signals += 1

    # --- children ---------------------------------------------------------------------------

    def _start(self, program: Program, *, keep: bool) -> None:
        output, input_end = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                program.command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=input_end,
                stderr=input_end,
                # Ctrl-C reaches us only, and what a child started can be stopped as a group.
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        except OSError as error:
            os.close(output)
            self.say(f"{program.name} cannot be started: {error}")
            self._exit_codes[program.name] = 127
            if keep:
                self._plan_restart(program)
            return
        finally:
            os.close(input_end)
        os.set_blocking(output, False)
        child = self._children[process.pid] = Child(program, keep, process, output)
        self._selector.register(output, selectors.EVENT_READ, child)

    def _turn(self, timeout_s: float) -> None:
        """Wait for output, for the end of a child or for a restart that is due, once."""
        if self._due:
            timeout_s = min(timeout_s, max(0.0, self._due[0][0] - time.monotonic()))
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, Child):
                self._read(key.data)
            else:
                with contextlib.suppress(BlockingIOError):
                    self._wake_up.recv(4096)
        self._reap()
        while self._due and self._due[0][0] <= time.monotonic() and not self._is_stopping:
            self._start(self._due.pop(0)[1], keep=True)

    def _reap(self) -> None:
        while True:
            try:
                # NOWAIT: its pid, which is its group's number too, is not given away yet.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            child = self._children.pop(ended.si_pid, None)
            if child is None:  # an orphan that became ours
                os.waitpid(ended.si_pid, 0)
            else:
                self._bury(child)

    def _bury(self, child: Child) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        code = child.process.wait()
        self._read(child)
        if child.unfinished_line:
            self._show(child.program.name, child.unfinished_line)
        self._unregister(child)
        os.close(child.output)
        self._exit_codes[child.program.name] = code
        if child.keep and not self._is_stopping and not self._stop_signals:
            self._plan_restart(child.program, code=code, lived_s=time.monotonic() - child.started)

    def _plan_restart(self, program: Program, *, code: int = 127, lived_s: float = 0.0) -> None:
        failures = 0 if lived_s >= STEADY_AFTER_S else self.quick_failures(program.name)
        delay = min(FIRST_DELAY_S * 2**failures, LONGEST_DELAY_S)
        self._quick_failures[program.name] = failures + 1
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        self.say(f"{program.name} ended {how}; it starts again in {delay:g} s")
        self._due.append((time.monotonic() + delay, program))
        self._due.sort(key=lambda entry: entry[0])

    # --- the end ----------------------------------------------------------------------------

    def _stop(self) -> None:
        """Ask every child to end; after the grace, or a second Ctrl-C, kill what is left."""
        self._is_stopping = True
        signals_before = self._stop_signals
        self._signal_children(signal.SIGTERM)
        end = time.monotonic() + self._grace_s
        while self._children and time.monotonic() < end and self._stop_signals == signals_before:
            self._turn(end - time.monotonic())
        # Orphans come to us one generation at a time, hence the loop.
        while (left := self._signal_descendants(signal.SIGKILL)) or self._children:
            self._turn(0.05 if left else 0.5)
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for socket_end in (self._wake_up, self._waker):
            socket_end.close()

    def _signal_children(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)  # not reaped yet, so the number is still its own

    def _signal_descendants(self, number: signal.Signals) -> int:
        """Signal every process whose parent we are now; return how many there were."""
        pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)
        return len(pids)

    # --- output -----------------------------------------------------------------------------

    def _read(self, child: Child) -> None:
        while True:
            try:
                chunk = os.read(child.output, 65536)
            except BlockingIOError:
                return
            if not chunk:
                self._unregister(child)  # it closed its end, and may live on
                return
            *lines, child.unfinished_line = (child.unfinished_line + chunk).split(b"\n")
            for line in lines:
                self._show(child.program.name, line)

    def _unregister(self, child: Child) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.output)

    def _show(self, name: str, line: bytes) -> None:
        path = self._log_dir / f"{name}.log"
        if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            log.write(line + b"\n")
        if not self._has_terminal:
            return
        try:
            sys.stdout.buffer.write(f"{name:<10} | ".encode() + line + b"\n")
            sys.stdout.buffer.flush()
        except OSError:  # the terminal was closed; the log files go on
            self._has_terminal = False
            # What is still buffered would fail once more when Python flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
