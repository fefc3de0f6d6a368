"""Try the sandbox before anything depends on it, and fail closed."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation.sandbox.confinement import ENVIRONMENT, Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.session import run_generator
from evaluation.sandbox.values import GeneratorJob, Limits, SandboxUnavailable
from styletransfer.errors import CheckpointRejected

_HERE = Path(__file__).parent
_READY_S = 120.0
_PROBE_S = 15.0
# PWD, SHLVL and _ are what a loader or shell may add by itself; bubblewrap sets PWD.
_MAY_BE_SET = (*ENVIRONMENT, "PWD", "LC_CTYPE")
# An ONNX graph of one node, Identity, from "content" to "output", float (1, 3, H, W).
IDENTITY_ONNX = base64.b64decode(
    "CAg6cAobCgdjb250ZW50EgZvdXRwdXQiCElkZW50aXR5EghpZGVudGl0eVojCgdjb250ZW50EhgKFggBEhIKAggBCgIIAwoD"
    "EgFoCgMSAXdiIgoGb3V0cHV0EhgKFggBEhIKAggBCgIIAwoDEgFoCgMSAXdCBAoAEBE="
)


def self_test(profile: Profile | None = None) -> None:
    """Build a sandbox, attack it from inside, and run a tiny generator in another.

    Takes about three seconds.

    Raises:
        SandboxUnavailable: it can't be built, or leaks, or runs nothing; says what to do.
    """
    profile = profile or Profile()
    _require_no_way_out(replace(profile, runner=_HERE / "probe.py"))
    _require_that_it_runs(profile)


def _require_no_way_out(profile: Profile) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        canary = Path(folder, "canary")
        canary.write_text(secrets.token_hex())
        canary.chmod(0o644)
        Path(folder).chmod(0o755)
        task = {
            "files": [str(canary), "/etc/passwd", str(_HERE / "pool.py")],
            "address": server.getsockname(),
            "environment": _MAY_BE_SET,
        }
        sandbox = Sandbox(profile)
        try:
            sandbox.wait_ready(_READY_S)
            sandbox.control.send(json.dumps(task).encode())
            answer = sandbox.receive(_PROBE_S)
        finally:
            sandbox.end()
    try:
        found = json.loads(answer or b"")["found"]
    except (ValueError, KeyError, TypeError):
        raise SandboxUnavailable("The sandbox's self-test ended without an answer.") from None
    if found:
        raise SandboxUnavailable(f"The sandbox is not tight: it could {', '.join(found)}.")


def _require_that_it_runs(profile: Profile) -> None:
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(1, 8, 8, 3)
    manifest = {
        "format": "onnx",
        "architecture": None,
        "parameters": {},
        "inputs": [{"role": "content", "name": "content"}],
        "input_range": "0..255",
        "output_range": "0..255",
        "channel_order": "RGB",
        "size": {"multiple_of": 1},
    }
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "identity.onnx")
        checkpoint.write_bytes(IDENTITY_ONNX)
        sandbox = Sandbox(profile)
        try:
            sandbox.wait_ready(_READY_S)
            job = GeneratorJob(checkpoint, manifest, pixels, None)
            made = run_generator(sandbox, job, Limits(wall_s=30, memory_bytes=1 << 29))
        except CheckpointRejected as error:
            notes = getattr(error, "__notes__", [])
            raise SandboxUnavailable(
                f"The sandbox can't run a trivial generator: {error} {notes}"
            ) from error
        finally:
            sandbox.end()
    if not np.array_equal(made.outputs, pixels):
        raise SandboxUnavailable("The sandbox gave back other pixels than it was given.")
