"""Whoever is killed, and whenever: nothing of a sandbox is left, and the next one starts.

``ARENA_KILLS=120`` makes it 120 kills instead of the few that fit into every run of the tests.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from evaluation.sandbox import GeneratorJob, Limits, SandboxUnavailable, slots
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.session import run_generator
from tests.evaluation.sandbox import graphs
from tests.evaluation.sandbox.conftest import Attack
from tests.evaluation.sandbox.processes import descendants, owned_by, still_there

_KILLS = int(os.environ.get("ARENA_KILLS", "16"))
_REPOSITORY = Path(__file__).parents[3]
# Long enough for a worker to start a pool and to be busy with a job; counted from its first word.
_LONGEST_S = 0.5
_BUSY = "job.outputs[:] = 7; control.send(b'{\"done\": 1}'); time.sleep(60)"
_WORKER = """
import sys
from pathlib import Path
import numpy as np
from evaluation.sandbox import GeneratorJob, Limits, SandboxPool, slots
from evaluation.sandbox.confinement import Profile
from tests.evaluation.sandbox import graphs
slots.FIRST_UID = int(sys.argv[2])
slots.COUNT = 4
folder = Path(sys.argv[1])
profile = Profile(runner=folder / "runner.py")
profile.binds()  # slow only once
print("starting", flush=True)
pool = SandboxPool(2, profile=profile)
job = GeneratorJob(
    graphs.identity(folder / "g.onnx"), graphs.manifest(), np.zeros((2, 8, 8, 3), np.uint8), None
)
while True:
    try:
        pool.run(job, Limits(60, 1 << 28))
    except Exception:
        pass  # a part of it was killed: the next one has to work
"""


def _who(worker: int, kind: str) -> int:
    """Return a process of one kind below a worker, or the worker if there is none yet."""
    words = {"keeper": b"keeper.py", "bwrap": b"/bwrap", "runner": b"/opt/python/bin/python3"}
    for pid in sorted(descendants(worker)):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        first = command.split(b"\0")[0]
        if words[kind] in (command if kind == "keeper" else first):
            return pid
    return worker


def test_kills_at_random_moments_leave_nothing_behind(attack: Attack, tmp_path: Path) -> None:
    attack(_BUSY)
    first_uid = 64_100  # away from those that workers on this machine may be leasing
    chance = random.Random(11)  # noqa: S311
    mounts = Path("/proc/self/mountinfo").read_text().count("\n")
    killed: Counter[str] = Counter()
    orphans: set[int] = set()
    for _ in range(_KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", _WORKER, tmp_path, str(first_uid)],
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
        ) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"starting\n"
            time.sleep(chance.uniform(0, _LONGEST_S))
            kind = chance.choice(["worker", "keeper", "bwrap", "runner"])
            family = descendants(worker.pid)
            target = worker.pid if kind == "worker" else _who(worker.pid, kind)
            killed[kind if target != worker.pid else "worker"] += 1
            os.kill(target, signal.SIGKILL)
            family |= descendants(worker.pid)
            if target != worker.pid:
                time.sleep(chance.uniform(0, 0.1))
                family |= descendants(worker.pid)
                worker.kill()
            # The worker's children go to init: the keepers, which then end what is below them.
            family |= set().union(*(descendants(pid) for pid in family)) if family else set()
        orphans |= still_there(family)
    assert orphans == set(), killed
    assert Path("/proc/self/mountinfo").read_text().count("\n") <= mounts
    if os.geteuid() == 0:
        uids = range(first_uid, first_uid + 4)
        assert [pid for uid in uids for pid in owned_by(uid)] == []
        _require_free(uids)
    assert len(killed) == 4, killed  # each of them was hit
    print(f"{_KILLS} kills: {dict(killed)}")


@pytest.mark.parametrize("kind", ["keeper", "bwrap", "runner"])
def test_whoever_kills_a_sandbox_at_work_it_is_not_the_generators_fault(
    kind: str, attack: Attack, tmp_path: Path
) -> None:
    attack(_BUSY)
    profile = Profile(runner=tmp_path / "runner.py")
    graph = graphs.identity(tmp_path / "g.onnx")
    job = GeneratorJob(graph, graphs.manifest(), np.zeros((2, 8, 8, 3), np.uint8), None)
    sandbox = Sandbox(profile)
    sandbox.wait_ready(60)
    target = sandbox.pid if kind == "keeper" else _who(sandbox.pid, kind)
    assert (target == sandbox.pid) == (kind == "keeper")

    def kill(_done: int, _of: int) -> None:
        os.kill(target, signal.SIGKILL)

    with pytest.raises(SandboxUnavailable):
        run_generator(sandbox, job, Limits(60, 1 << 28), on_progress=kill)


def _require_free(uids: range) -> None:
    """Lease them all, as a new worker would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "FIRST_UID", uids.start)
        patch.setattr(slots, "COUNT", len(uids))
        held = [slots.Slot() for _ in uids]
        for slot in held:
            slot.release()
