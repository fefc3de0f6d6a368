"""Give one job to one sandbox and believe nothing that comes back but the numbers themselves."""

from __future__ import annotations

import array
import contextlib
import json
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from evaluation.sandbox import memory
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.protocol import (
    Confined,
    Converted,
    Fault,
    Finished,
    Progress,
    Proposed,
    Refused,
    Untrue,
    read_message,
)
from evaluation.sandbox.values import (
    GeneratorJob,
    Limits,
    Pixels,
    SandboxStopped,
    SandboxUnavailable,
    Stylised,
)
from styletransfer.errors import CheckpointRejected
from styletransfer.inference import to_pixels
from styletransfer.proposal import Proposal
from styletransfer.safetensors_file import MAX_HEADER_BYTES as ENVELOPE_BYTES

OnProgress = Callable[[int, int], None]
OnPicture = Callable[[Pixels], None]
ShouldStop = Callable[[], bool]

_POLL_S = 0.2
_EXIT_S = 2.0
_KILLED = 128 + signal.SIGKILL
# What the converter may need beside a copy of the file.
_CONVERSION_BYTES = 256 << 20

_Answer = TypeVar("_Answer", Finished, Converted)


@dataclass(frozen=True)
class _Buffers:
    checkpoint: int
    contents: int
    styles: int | None
    outputs: int
    shape: tuple[int, ...]

    def close(self) -> None:
        for fd in (self.checkpoint, self.contents, self.styles, self.outputs):
            if fd is not None:
                os.close(fd)


def run_generator(
    sandbox: Sandbox,
    job: GeneratorJob,
    limits: Limits,
    *,
    on_progress: OnProgress | None = None,
    on_picture: OnPicture | None = None,
    should_stop: ShouldStop | None = None,
) -> Stylised:
    """Run one job in a ready sandbox, end the sandbox, check and return the pictures.

    ``on_picture`` gets each checked picture as soon as it is there, while the next one is made.

    Raises:
        CheckpointRejected: the generator can't be loaded, run, or trusted.
        SandboxStopped: ``should_stop`` became true.
        SandboxUnavailable: the sandbox failed before it saw the upload.
    """
    buffers = _make_buffers(job)
    try:
        with sandbox.ending():
            started = time.monotonic()
            _send(sandbox, job, limits, buffers)
            pictures = _Pictures(buffers, on_picture)
            conversation = _Conversation(
                sandbox, limits, pictures, started, on_progress, should_stop
            )
            finished = conversation.follow(Finished)
        outputs = pictures.take_all()
    finally:
        buffers.close()
    if job.manifest is None and conversation.proposal is None:
        raise CheckpointRejected("generator_crashed")  # it ran by nobody knows what
    return Stylised(
        outputs=outputs,
        load_s=finished.load_s,
        run_s=finished.run_s,
        picture_s=conversation.picture_s,
        # What can't be measured from outside is at least held to what is possible.
        parameters=min(finished.parameters, job.checkpoint.stat().st_size),
        memory_bytes=min(finished.memory_bytes, limits.memory_bytes),
        needed_bytes=min(finished.needed_bytes, limits.memory_bytes),
        log="\n".join(filter(None, (finished.log, sandbox.printed))),
        proposal=conversation.proposal,
    )


class _Pictures:
    """Copies of the pictures that are done: what happens to the buffer later changes nothing."""

    def __init__(self, buffers: _Buffers, on_picture: OnPicture | None) -> None:
        self._buffers, self._on_picture = buffers, on_picture
        self._taken: list[Pixels] = []
        self.total = buffers.shape[0]

    def take_until(self, done: int) -> None:
        """Copy and check the pictures before number ``done`` that were not taken yet."""
        for number in range(len(self._taken), done):
            floats = memory.copy_floats(self._buffers.outputs, self._buffers.shape, number)
            self._taken.append(to_pixels(floats))
            if self._on_picture is not None:
                self._on_picture(self._taken[-1])

    def take_all(self) -> Pixels:
        self.take_until(self.total)
        return np.stack(self._taken)


def convert_state_dict(
    sandbox: Sandbox,
    source: Path,
    target: Path,
    *,
    wall_s: float,
    should_stop: ShouldStop | None = None,
) -> None:
    """Have a ready sandbox turn a file of `torch.save` into safetensors; end the sandbox.

    What is written to ``target`` is as little to be trusted as what was uploaded: it has to be
    checked in another sandbox, like an upload.

    Raises:
        CheckpointRejected: it holds no weights that can be read.
        SandboxStopped: ``should_stop`` became true.
        SandboxUnavailable: the sandbox failed before it saw the upload.
    """
    size = source.stat().st_size
    limits = Limits(wall_s=wall_s, memory_bytes=2 * size + _CONVERSION_BYTES)
    with contextlib.ExitStack() as made:
        checkpoint = memory.seal_file(source)
        made.callback(os.close, checkpoint)
        output = memory.empty_bytes(size + ENVELOPE_BYTES)
        made.callback(os.close, output)
        with sandbox.ending():  # first, so that nothing changes any more while it is copied
            started = time.monotonic()
            _hand_over(sandbox, {"task": "convert"}, limits, [checkpoint, output])
            conversation = _Conversation(sandbox, limits, None, started, None, should_stop)
            said = conversation.follow(Converted)
        if not 0 < said.size <= size + ENVELOPE_BYTES:
            raise CheckpointRejected("generator_crashed")
        memory.write_file(output, said.size, target)


class _Conversation:
    def __init__(
        self,
        sandbox: Sandbox,
        limits: Limits,
        pictures: _Pictures | None,
        started: float,
        on_progress: OnProgress | None,
        should_stop: ShouldStop | None,
    ) -> None:
        self._sandbox, self._limits, self._started = sandbox, limits, started
        self._pictures, self._total = pictures, pictures.total if pictures else 0
        self._on_progress, self._should_stop = on_progress, should_stop
        self._confined = False
        self._done = 0
        self._last = started
        self.picture_s: list[float] = []
        self.proposal: Proposal | None = None

    def follow(self, awaited: type[_Answer]) -> _Answer:
        """Listen until it finishes, in whichever way."""
        while True:
            packet = self._next_packet()
            if not packet:
                raise self._ended()
            try:
                message = read_message(packet)
            except Untrue:
                raise self._nonsense() from None
            match message:
                case Confined() if not self._confined:
                    self._confined = True
                    self._last = time.monotonic()
                case Fault(reason) if not self._confined:
                    raise SandboxUnavailable(f"The sandbox could not confine itself: {reason}")
                case Proposed(manifest, reasons) if self._confined and self.proposal is None:
                    self.proposal = Proposal(manifest, reasons)
                case Progress(done) if self._confined and self._done < done <= self._total:
                    self._report(done)
                case awaited() if self._confined:
                    self._time_until(self._total)
                    return message
                case Refused(code, facts, log) if self._confined:
                    raise self._refusal(code, facts, log)
                case _:
                    raise self._nonsense()

    def _next_packet(self) -> bytes:
        while True:
            left = self._started + self._limits.wall_s - time.monotonic()
            if left <= 0:
                raise self._too_slow()
            if self._should_stop is not None and self._should_stop():
                raise SandboxStopped
            packet = self._sandbox.receive(min(left, _POLL_S))
            if packet is not None:
                return packet

    def _time_until(self, done: int) -> None:
        """Share the time since the last news among the pictures that are done since."""
        moment = time.monotonic()
        count = done - len(self.picture_s)
        if count > 0:
            self.picture_s += [(moment - self._last) / count] * count
        self._last = moment

    def _report(self, done: int) -> None:
        self._time_until(done)
        self._done = done
        if self._pictures is not None:
            self._pictures.take_until(done)
        if self._on_progress is not None:
            self._on_progress(done, self._total)

    def _refusal(self, code: str, facts: Mapping[str, object], log: str) -> CheckpointRejected:
        match code:
            case "too_slow":
                return self._too_slow()
            case "out_of_memory":
                return _with_log(self._out_of_memory(), log)
        return _with_log(CheckpointRejected(code, **facts), log)

    def _ended(self) -> Exception:
        """Explain a sandbox that hung up."""
        code = self._sandbox.wait_for_exit(_EXIT_S)
        if not self._confined:
            return SandboxUnavailable(f"The sandbox ended before it read the upload ({code}).")
        if code != _KILLED:
            return CheckpointRejected("generator_crashed", **_death(code))
        memory_ended = self._sandbox.note_out_of_memory()
        if memory_ended is not None:
            if memory_ended.by_limit:
                return self._out_of_memory()
            return SandboxUnavailable("The machine had no memory left, and killed the sandbox.")
        # Killed, and not by us: for processor time, which is so generous that only many threads at
        # once could spend it before the wall clock, or by somebody else. Not for its own memory:
        # there the kernel refuses, and only a machine that has none left kills.
        elapsed = time.monotonic() - self._started
        spent = elapsed * (os.cpu_count() or 1) >= cpu_seconds(self._limits)
        if spent:
            return self._too_slow()
        return SandboxUnavailable("Somebody else killed the sandbox.")

    def _too_slow(self) -> CheckpointRejected:
        return CheckpointRejected("too_slow", limit_s=self._limits.wall_s, done=self._done)

    def _out_of_memory(self) -> CheckpointRejected:
        return CheckpointRejected("out_of_memory", limit_bytes=self._limits.memory_bytes)

    def _nonsense(self) -> Exception:
        if not self._confined:
            return SandboxUnavailable("The sandbox's runner was not understood.")
        return CheckpointRejected("generator_crashed")


def cpu_seconds(limits: Limits) -> int:
    """Return the processor time that a job may use: a second fence behind the wall clock."""
    return math.ceil(2 * limits.wall_s * limits.cpu_threads) + 1


def _with_log(error: CheckpointRejected, log: str) -> CheckpointRejected:
    if log:
        error.add_note(log)
    return error


def _death(code: int | None) -> dict[str, object]:
    if code is None or code <= 128:
        return {}
    try:
        return {"signal": signal.Signals(code - 128).name}
    except ValueError:
        return {}


def _make_buffers(job: GeneratorJob) -> _Buffers:
    with contextlib.ExitStack() as made:

        def keep(fd: int) -> int:
            made.callback(os.close, fd)
            return fd

        buffers = _Buffers(
            checkpoint=keep(memory.seal_file(job.checkpoint)),
            contents=keep(memory.seal_array(job.contents)),
            styles=None if job.styles is None else keep(memory.seal_array(job.styles)),
            outputs=keep(memory.unwritten_floats(job.contents.shape)),
            shape=job.contents.shape,
        )
        made.pop_all()
    return buffers


def _send(sandbox: Sandbox, job: GeneratorJob, limits: Limits, buffers: _Buffers) -> None:
    fds = [buffers.checkpoint, buffers.contents, buffers.outputs]
    if buffers.styles is not None:
        fds.append(buffers.styles)
    words = {"task": "stylise", "manifest": job.manifest, "shape": buffers.shape}
    _hand_over(sandbox, words, limits, fds)


def _hand_over(
    sandbox: Sandbox, words: Mapping[str, object], limits: Limits, fds: Sequence[int]
) -> None:
    limits_in_words = {
        "memory_bytes": limits.memory_bytes,
        "cpu_s": cpu_seconds(limits),
        "threads": limits.cpu_threads,
    }
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
    sandbox.limit(memory_bytes=limits.memory_bytes, threads=limits.cpu_threads)
    try:
        sandbox.control.sendmsg([json.dumps({**words, **limits_in_words}).encode()], [rights])
    except OSError as error:
        raise SandboxUnavailable(f"The sandbox died while it waited: {error}") from error
