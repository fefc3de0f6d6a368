"""Real sandboxes, warm ones shared between tests, and hostile runners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import evaluation.sandbox
from evaluation.sandbox import GeneratorJob, Limits, SandboxPool
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.session import run_generator
from evaluation.sandbox.values import Pixels, Stylised
from tests.evaluation.sandbox import graphs

_RUNNER = Path(evaluation.sandbox.__file__).with_name("runner.py")
_ENTRY = 'if __name__ == "__main__":'
# The real runner up to the moment it would load the upload, then the test's code in its place.
# Without torch, so that it starts at once; the limits and filters are the real ones.
_HOSTILE = """
import ctypes

class _Torch:
    set_num_threads = staticmethod(lambda count: None)

sys.modules["torch"] = _Torch

def _warm_up():
    import numpy, subprocess, struct, signal, threading, traceback

def _refusal(error):
    return {"code": "generator_crashed", "log": _words(error)}

def _stylise_all(control, job):
"""

# Behind the first filter only, where files still open: what namespaces and binds hide.
_LOOK_AROUND = """
import ctypes, json, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
found = []
{code}
control.send(repr(found)[:4000].encode())
"""

Attack = Callable[[str], Profile]
RunHostile = Callable[..., Stylised]
LookAround = Callable[[str], str]


@pytest.fixture(scope="module")
def pool() -> Iterator[SandboxPool]:
    """Keep one sandbox warm for all tests that only need some."""
    with SandboxPool(1) as made:
        yield made


@pytest.fixture
def pixels() -> Pixels:
    """Two pictures of noise."""
    noise = np.random.default_rng(7).integers(0, 256, (2, 16, 24, 3))
    return noise.astype(np.uint8)


@pytest.fixture
def attack(tmp_path: Path) -> Attack:
    """Make a profile whose runner is replaced by indented code once it holds the upload."""

    def make(code: str) -> Profile:
        runner = tmp_path / "runner.py"
        source = _RUNNER.read_text()
        assert _ENTRY in source
        body = "\n".join(f"    {line}" for line in code.strip().splitlines())
        runner.write_text(source.replace(_ENTRY, f"{_HOSTILE}{body}\n\n\n{_ENTRY}"))
        return Profile(runner=runner)

    return make


@pytest.fixture
def run_hostile(attack: Attack, tmp_path: Path, pixels: Pixels) -> RunHostile:
    """Run code as an attacker who took over the runner would."""

    def run(code: str, limits: Limits | None = None) -> Stylised:
        job = GeneratorJob(graphs.identity(tmp_path / "g.onnx"), graphs.manifest(), pixels, None)
        sandbox = Sandbox(attack(code))
        try:
            sandbox.wait_ready(30)
            return run_generator(sandbox, job, limits or Limits(wall_s=20, memory_bytes=1 << 29))
        finally:
            sandbox.end()

    return run


@pytest.fixture
def look_around(tmp_path: Path) -> LookAround:
    """Run code that fills a list named found in a sandbox; return the list as text."""

    def look(code: str) -> str:
        runner = tmp_path / "look_around.py"
        runner.write_text(_LOOK_AROUND.format(code=code))
        sandbox = Sandbox(Profile(runner=runner))
        try:
            return (sandbox.receive(30) or b"nothing").decode()
        finally:
            sandbox.end()

    return look
