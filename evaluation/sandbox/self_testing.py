"""Try the sandbox before anything depends on it, and fail closed."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.session import run_generator
from evaluation.sandbox.values import GeneratorJob, Limits, SandboxUnavailable
from evaluation.sandbox.walls import RUNS, Finding, check_walls
from styletransfer.errors import CheckpointRejected

_READY_S = 120.0
# An ONNX graph of one node, Identity, from "content" to "output", float (1, 3, H, W).
IDENTITY_ONNX = base64.b64decode(
    "CAg6cAobCgdjb250ZW50EgZvdXRwdXQiCElkZW50aXR5EghpZGVudGl0eVojCgdjb250ZW50EhgKFggBEhIKAggBCgIIAwoD"
    "EgFoCgMSAXdiIgoGb3V0cHV0EhgKFggBEhIKAggBCgIIAwoDEgFoCgMSAXdCBAoAEBE="
)


class LeakySandbox(SandboxUnavailable):
    """A wall is missing, or nothing runs behind them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = findings
        missing = [
            f"{each.wall} ({each.tried}: {each.happened})" for each in findings if not each.stood
        ]
        super().__init__(f"The sandbox is not tight: {'; '.join(missing)}.")


def self_test(profile: Profile | None = None) -> list[Finding]:
    """Try every wall from inside, and run a tiny generator in another sandbox.

    Takes about three seconds, nearly all of it for the generator.

    Raises:
        LeakySandbox: something got through, or nothing runs.
        SandboxUnavailable: no sandbox can be built; says what to do.
    """
    findings = [*check_walls(profile), check_that_it_runs(profile)]
    if not all(finding.stood for finding in findings):
        raise LeakySandbox(findings)
    return findings


def check_that_it_runs(profile: Profile | None = None) -> Finding:
    """Run a generator that changes nothing."""
    tried = "give back the pixels it was given"
    try:
        _require_that_it_runs(profile or Profile())
    except CheckpointRejected as error:
        notes = getattr(error, "__notes__", [])
        return Finding(RUNS, tried, f"{error} {notes}", False)
    except _OtherPixels:
        return Finding(RUNS, tried, "it gave back others", False)
    return Finding(RUNS, tried, "it did", True)


class _OtherPixels(Exception):
    pass


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
        finally:
            sandbox.end()
    if not np.array_equal(made.outputs, pixels):
        raise _OtherPixels
