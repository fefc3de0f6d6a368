"""Many files in one real sandbox: what refuses them is what would, and starting costs once.

The runner is the real one up to the moment it would load its only checkpoint; from there it goes
through all of them, each in `load_generator` and `stylise`, behind the same walls and limits.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import evaluation.sandbox
from evaluation.sandbox import memory
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.launcher import Sandbox
from tests.hostile.case import ACCEPTED, SHAPE

_RUNNER = Path(evaluation.sandbox.__file__).with_name("runner.py")
_ENTRY = 'if __name__ == "__main__":'
_LOOP = """
def _stylise_all(control, job):
    from styletransfer.checkpoint import load_generator
    from styletransfer.errors import CheckpointRejected
    from styletransfer.inference import stylise, to_pixels
    from styletransfer.manifest import Manifest
    from styletransfer.memory_need import Room
    from styletransfer.state_dict import ENVELOPE_BYTES, convert

    for begin, end, manifest in job.words["bundle"]:
        try:
            data = job.checkpoint[begin:end]
            if manifest["format"] == "state_dict":
                safe = memoryview(bytearray(len(data) + ENVELOPE_BYTES))
                data = safe[: convert(data, safe)]
                manifest = manifest | {"format": "safetensors"}
            room = Room(job.words["memory_bytes"], *job.contents.shape[1:3])
            generator = load_generator(data, Manifest.model_validate(manifest), room)
            for content in job.contents:
                to_pixels(stylise(generator, content, content))
            said = {"code": "accepted", "facts": {}}
        except BaseException as error:
            said = _refusal(error)
        _say(control, **said)
    return {"all": True}


"""

Ending = tuple[str, dict[str, Any]]


def run_all(files: Sequence[tuple[bytes, dict[str, Any]]], folder: Path) -> list[Ending]:
    """Return code and facts for each file, or fewer if the sandbox did not survive one."""
    runner = folder / "runner.py"
    source = _RUNNER.read_text()
    assert _ENTRY in source
    runner.write_text(source.replace(_ENTRY, f"{_LOOP}{_ENTRY}"))
    whole = b"".join(data for data, _ in files)
    ends = np.cumsum([len(data) for data, _ in files]).tolist()
    bundle = [
        (end - len(data), end, manifest) for end, (data, manifest) in zip(ends, files, strict=True)
    ]
    fds = [
        memory.seal_array(np.frombuffer(whole, np.uint8)),
        memory.seal_array(np.random.default_rng(7).integers(0, 256, SHAPE).astype(np.uint8)),
        memory.unwritten_floats(SHAPE),
    ]
    sandbox = Sandbox(Profile(runner=runner))
    try:
        sandbox.wait_ready(60)
        words = {"task": "stylise", "manifest": {}, "shape": SHAPE, "bundle": bundle}
        limits = {"memory_bytes": 1 << 30, "cpu_s": 120, "threads": 1}
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        sandbox.control.sendmsg([json.dumps(words | limits).encode()], [rights])
        return list(_endings(sandbox))
    finally:
        sandbox.end()
        for fd in fds:
            os.close(fd)


def _endings(sandbox: Sandbox) -> Any:
    while packet := sandbox.receive(60):
        said = json.loads(packet)
        if "code" in said:
            yield (ACCEPTED if said["code"] == ACCEPTED else said["code"]), said.get("facts", {})
        elif "confined" not in said:
            return
