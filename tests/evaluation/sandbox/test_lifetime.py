"""Nothing outlives its owner, and nothing is used twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from evaluation.sandbox import GeneratorJob, Limits, SandboxPool, SandboxUnavailable, slots
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.slots import Slot
from evaluation.sandbox.values import Pixels
from tests.evaluation.sandbox import graphs
from tests.evaluation.sandbox.conftest import Attack
from tests.evaluation.sandbox.processes import (
    descendants,
    owned_by,
    parents,
    still_there,
    wait_for,
)

LIMITS = Limits(wall_s=30, memory_bytes=1 << 28)
SEVENS = 'job.outputs[:] = 7; return {"ok": True, "load_s": 0, "run_s": 0}'
SLEEP = "job.outputs[:] = 7; control.send(b'{\"done\": 1}'); time.sleep(60)"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root leases user ids")
_WORKER = """
import sys
from pathlib import Path
import numpy as np
from evaluation.sandbox import GeneratorJob, Limits, SandboxPool
from evaluation.sandbox import slots
from evaluation.sandbox.confinement import Profile
from tests.evaluation.sandbox import graphs
folder = Path(sys.argv[1])
pool = SandboxPool(2, profile=Profile(runner=folder / "runner.py"))
pool.wait_until_ready()
job = GeneratorJob(
    graphs.identity(folder / "g.onnx"), graphs.manifest(), np.zeros((2, 8, 8, 3), np.uint8), None
)
pool.run(job, Limits(60, 1 << 28), on_progress=lambda done, of: print("running", flush=True))
"""


@pytest.fixture
def job(tmp_path: Path, pixels: Pixels) -> GeneratorJob:
    return GeneratorJob(graphs.identity(tmp_path / "g.onnx"), graphs.manifest(), pixels, None)


@pytest.fixture
def others() -> set[int]:
    """Return what this process runs besides: the services that earlier tests share."""
    return descendants(os.getpid())


def test_a_killed_worker_leaves_no_process_behind(attack: Attack, tmp_path: Path) -> None:
    attack(SLEEP)
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER, tmp_path], stdout=subprocess.PIPE, cwd=_repository()
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"running\n"
        family = descendants(worker.pid)
        worker.send_signal(signal.SIGKILL)
    assert len(family) >= 6  # a keeper, bubblewrap and a runner for the job and for a warm one
    assert still_there(family) == set()


def test_ending_a_sandbox_at_any_moment_of_its_start_leaves_nothing(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = attack(SEVENS)
    forgotten: list[int] = []
    # The sweep would hide what the keeper forgot; this one only looks.
    monkeypatch.setattr(Slot, "sweep", lambda slot: forgotten.extend(owned_by(slot.uid)))
    moments = random.Random(7)  # noqa: S311
    for _ in range(30):
        before = set(parents())
        sandbox = Sandbox(profile)
        time.sleep(moments.uniform(0, 0.12))
        family = {sandbox.pid, *descendants(sandbox.pid)}
        sandbox.end()
        assert still_there(family - before, within_s=0) == set()
    assert forgotten == []


def test_a_killed_keeper_takes_its_sandbox_along(attack: Attack) -> None:
    sandbox = Sandbox(attack(SEVENS))
    sandbox.wait_ready(30)
    family = descendants(sandbox.pid)
    os.kill(sandbox.pid, signal.SIGKILL)
    assert family
    assert still_there(family) == set()
    sandbox.end()


def test_a_sandbox_outlives_the_thread_that_started_it(attack: Attack) -> None:
    made: list[Sandbox] = []
    thread = threading.Thread(target=lambda: made.append(Sandbox(attack(SEVENS))))
    thread.start()
    thread.join()
    made[0].wait_ready(30)
    time.sleep(0.2)
    assert made[0].is_alive()
    made[0].end()


def test_every_job_gets_a_sandbox_of_its_own(
    attack: Attack, job: GeneratorJob, others: set[int]
) -> None:
    with SandboxPool(1, profile=attack(SEVENS)) as pool:
        families = []
        for _ in range(3):
            pool.wait_until_ready()
            families.append(descendants(os.getpid()) - others)
            assert np.array_equal(pool.run(job, LIMITS).outputs, np.full_like(job.contents, 7))
            assert still_there(families[-1], within_s=0) == set()
    assert not families[0] & families[1]
    assert not families[1] & families[2]


def test_a_warm_sandbox_that_died_is_replaced(
    attack: Attack, job: GeneratorJob, others: set[int]
) -> None:
    with SandboxPool(1, profile=attack(SEVENS)) as pool:
        pool.wait_until_ready()
        for pid in descendants(os.getpid()) - others:
            if _command(pid).startswith(b"/usr/bin/bwrap"):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not descendants(os.getpid()) - others, 5)
        assert (pool.run(job, LIMITS).outputs == 7).all()


def test_a_pool_is_filled_between_jobs_and_one_for_checks_beside_them(
    attack: Attack, job: GeneratorJob
) -> None:
    profile = attack(f"job.outputs[:] = 7; control.send(b'{{\"done\": 1}}'); {SEVENS}")
    seen: list[bool] = []
    with SandboxPool(1, profile=profile) as pool:
        pool.run(job, LIMITS, on_progress=lambda done, of: seen.append(pool._wants_another()))
    assert seen == [False]
    with SandboxPool(1, profile=profile, refills_beside_jobs=True) as pool:
        pool.run(job, LIMITS, on_progress=lambda done, of: pool.wait_until_ready(30))


@ROOT_ONLY
def test_a_sandbox_warms_up_at_low_priority_and_works_at_the_usual_one(attack: Attack) -> None:
    own = _niceness(0)
    sandbox = Sandbox(attack(SEVENS), is_patient=True)
    try:
        sandbox.wait_ready(30)
        family = [sandbox.pid, *descendants(sandbox.pid)]
        assert {_niceness(pid) for pid in family} == {min(19, own + 10)}
        sandbox.hurry()
        assert {_niceness(pid) for pid in family} == {own}
    finally:
        sandbox.end()


def test_a_closed_pool_has_ended_everything_and_refuses_jobs(
    attack: Attack, job: GeneratorJob, others: set[int]
) -> None:
    pool = SandboxPool(2, profile=attack(SEVENS))
    pool.wait_until_ready()
    family = descendants(os.getpid()) - others
    pool.close()
    assert family
    assert still_there(family, within_s=0) == set()
    with pytest.raises(SandboxUnavailable, match="closed"):
        pool.run(job, LIMITS)


def test_closing_a_pool_does_not_wait_for_a_slow_start(tmp_path: Path) -> None:
    runner = tmp_path / "runner.py"
    runner.write_text("import time\ntime.sleep(60)\n")
    pool = SandboxPool(1, profile=Profile(runner=runner))
    time.sleep(0.5)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 5


def test_a_job_hears_why_no_sandbox_can_be_built(tmp_path: Path, job: GeneratorJob) -> None:
    runner = tmp_path / "runner.py"
    runner.write_text("raise SystemExit('broken on purpose')")
    with (
        SandboxPool(1, profile=Profile(runner=runner)) as pool,
        pytest.raises(SandboxUnavailable, match="broken on purpose"),
    ):
        pool.run(job, LIMITS)


@ROOT_ONLY
def test_sandboxes_of_root_run_under_different_user_ids_without_rights(attack: Attack) -> None:
    sandboxes = [Sandbox(attack(SEVENS)), Sandbox(attack(SEVENS))]
    try:
        for sandbox in sandboxes:
            sandbox.wait_ready(30)
            assert sandbox.uid is not None
            for pid in (sandbox.pid, *descendants(sandbox.pid)):
                status = Path(f"/proc/{pid}/status").read_text()
                ids = {line.split(None, 1)[1] for line in status.splitlines() if "id:\t" in line}
                assert f"{sandbox.uid}\t" * 3 + f"{sandbox.uid}" in ids
                assert "CapEff:\t0000000000000000" in status
        assert sandboxes[0].uid != sandboxes[1].uid
    finally:
        for sandbox in sandboxes:
            sandbox.end()


@ROOT_ONLY
def test_a_lease_sweeps_what_a_dead_worker_left_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uid = 64_190  # away from those that other workers on this machine may be leasing
    monkeypatch.setattr(slots, "FIRST_UID", uid)
    command = ["/usr/bin/setpriv", "--clear-groups"]
    left, other = (
        subprocess.Popen([*command, f"--reuid={owner}", f"--regid={owner}", "sleep", "60"])
        for owner in (uid, uid + 1000)
    )
    time.sleep(0.3)
    try:
        with Slot() as slot:
            assert slot.uid == uid
            assert left.wait(5) == -signal.SIGKILL
            assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def _repository() -> Path:
    return Path(__file__).parents[3]
