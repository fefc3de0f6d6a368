"""The program inside the sandbox: imports, says READY, takes one job, runs it, ends.

It is bound in without the project around it, and imports only the standard library, `confining`
and `styletransfer`. From the moment it maps the upload, assume that an attacker runs it: nothing
here is a wall, the walls are around it.
"""

from __future__ import annotations

import array
import gc
import json
import mmap
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

_MAX_JOB = 1 << 16
_MAX_STATUS = 4096
_MAX_LOG = 600


@dataclass(frozen=True)
class _Job:
    words: dict[str, Any]
    checkpoint: memoryview
    contents: Any  # NDArray, but numpy is imported only after this module is
    styles: Any
    footprint: Any
    outputs: Any  # floats; for a conversion, bytes


def main() -> None:
    """Serve one job on the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[:0] = sys.argv[2:]
    try:
        from evaluation.sandbox.confining import enter_stage_2, read_filter, set_limits

        _warm_up()
        bpf = read_filter()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the platform has to hear of it
        _say(control, fault=_words(error))
        return
    _say(control, ready=True)
    received = _receive(control)
    if received is None:
        return
    try:
        job = _map(*received)
        _set_threads(job)
        set_limits(**{name: job.words[name] for name in ("memory_bytes", "cpu_s", "threads")})
        enter_stage_2(bpf)
    except Exception as error:  # noqa: BLE001
        _say(control, fault=_words(error))
        return
    _say(control, confined=True)
    _say(control, **_outcome(control, job))


def _warm_up() -> None:
    # One thread while it waits; a job may ask for more.
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    from styletransfer import checkpoint, footprint, inference, manifest  # noqa: F401

    checkpoint.warm_up()
    # Nothing can be opened later, so what the last steps need is imported by using it once.
    _refusal(MemoryError("warm-up"))
    gc.collect()


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    fds = array.array("i")
    space = socket.CMSG_SPACE(4 * fds.itemsize)
    message, ancillary, _, _ = control.recvmsg(_MAX_JOB, space)
    if not message:
        return None  # not needed any more
    for _, _, data in ancillary:
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return json.loads(message), list(fds)


def _map(words: dict[str, Any], fds: list[int]) -> _Job:
    import numpy as np

    from styletransfer.footprint import Footprint

    size = os.fstat(fds[0]).st_size
    data = memoryview(mmap.mmap(fds[0], 0, prot=mmap.PROT_READ) if size else b"")
    if words["task"] == "convert":
        job = _Job(words, data, None, None, None, memoryview(mmap.mmap(fds[1], 0)))
        for fd in fds:
            os.close(fd)
        return job
    shape = tuple(words["shape"])

    def pixels(fd: int) -> Any:
        return np.frombuffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ), np.uint8).reshape(shape)

    job = _Job(
        words=words,
        checkpoint=data,
        contents=pixels(fds[1]),
        styles=pixels(fds[3]) if len(fds) > 3 else None,
        footprint=Footprint(),
        outputs=np.frombuffer(mmap.mmap(fds[2], 0), np.float32).reshape(shape),
    )
    for fd in fds:
        os.close(fd)
    return job


def _set_threads(job: _Job) -> None:
    import torch

    torch.set_num_threads(job.words["threads"])


def _outcome(control: socket.socket, job: _Job) -> dict[str, Any]:
    try:
        return _convert(job) if job.words["task"] == "convert" else _stylise_all(control, job)
    except BaseException as error:  # noqa: BLE001
        return _refusal(error)


def _convert(job: _Job) -> dict[str, Any]:
    from styletransfer.state_dict import convert

    return {"converted": convert(job.checkpoint, job.outputs)}


def _stylise_all(control: socket.socket, job: _Job) -> dict[str, Any]:
    from styletransfer.checkpoint import load_generator
    from styletransfer.inference import stylise
    from styletransfer.manifest import Manifest
    from styletransfer.memory_need import Room
    from styletransfer.proposing import propose

    started = time.monotonic()
    if job.words["manifest"] is None:
        proposal = propose(job.checkpoint)
        _say(control, **_worded(proposal))
        manifest = proposal.manifest
    else:
        manifest = Manifest.model_validate(job.words["manifest"])
    room = Room(job.words["memory_bytes"], *job.contents.shape[1:3])
    generator = load_generator(job.checkpoint, manifest, room)
    loaded = time.monotonic()
    for i, content in enumerate(job.contents):
        style = None if job.styles is None else job.styles[i]
        job.outputs[i] = stylise(generator, content, style)
        _say(control, done=i + 1)
    return {
        "ok": True,
        "load_s": loaded - started,
        "run_s": time.monotonic() - loaded,
        "parameters": generator.parameters_count,
        "memory_bytes": job.footprint.added_bytes(),
        "needed_bytes": generator.memory_need.total_bytes if generator.memory_need else 0,
    }


def _worded(proposal: Any) -> dict[str, Any]:
    said = proposal.to_json()
    words = {"proposed": said["manifest"], "reasons": said["reasons"]}
    if len(json.dumps(words)) > _MAX_STATUS:
        words["reasons"] = {name: {"code": each["code"]} for name, each in said["reasons"].items()}
    return words


def _refusal(error: BaseException) -> dict[str, Any]:
    from styletransfer.errors import CheckpointRejected
    from styletransfer.onnx_generator import is_out_of_memory

    if isinstance(error, CheckpointRejected):
        return {"code": error.code, "facts": error.facts}
    is_memory = isinstance(error, Exception) and is_out_of_memory(error)
    return {"code": "out_of_memory" if is_memory else "generator_crashed", "log": _words(error)}


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_MAX_LOG]


def _say(control: socket.socket, **words: Any) -> None:
    message = json.dumps(words, default=str).encode()
    if len(message) > _MAX_STATUS and "facts" in words:
        message = json.dumps(words | {"facts": {}}).encode()
    control.send(message[: _MAX_STATUS + 1])


if __name__ == "__main__":
    main()
    # Without tearing anything down: what a generator left behind could crash or hang in there.
    os._exit(0)
