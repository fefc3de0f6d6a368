"""Limits of cgroup v2: on a tree of plain files, and, where root may, on the kernel's own.

The kernel of this test may offer no memory controller, so that what it would write is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.sandbox import GeneratorJob, Limits, SandboxUnavailable, cgroups, launcher
from evaluation.sandbox.cgroups import Group, OutOfMemory, Unusable, prepare
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.session import run_generator
from evaluation.sandbox.values import Pixels
from styletransfer.errors import CheckpointRejected
from tests.evaluation.sandbox import graphs
from tests.evaluation.sandbox.conftest import Attack
from tests.evaluation.sandbox.processes import descendants

_ONE_PICTURE = "job.outputs[:] = 7; control.send(b'{\"done\": 1}'); time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A group as the kernel shows one that was delegated to us."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    for file in ("cgroup.subtree_control", "cgroup.procs"):
        (tmp_path / file).write_text("")
    return tmp_path


class Pretended(Group):
    """A group of plain files, which the kernel would have put there."""

    def __init__(self, home: Path) -> None:
        make = Path.mkdir

        def mkdir(path: Path) -> None:
            make(path)
            for name in ("memory.oom.group", "memory.swap.max", "memory.max", "pids.max"):
                (path / name).write_text("")
            (path / "memory.current").write_text("1000\n")
            (path / "memory.events").write_text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "mkdir", mkdir)
            super().__init__(home)


def test_a_delegated_group_is_made_ready(home: Path) -> None:
    assert prepare(home, is_whole_tree=True) == home
    assert (home / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_without_the_controllers_there_are_no_groups_and_it_is_said_why(home: Path) -> None:
    (home / "cgroup.controllers").write_text("cpu hugetlb\n")
    with pytest.raises(Unusable, match="no memory and pids controller"):
        prepare(home, is_whole_tree=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="what an ordinary account owns is its own")
def test_a_group_of_a_service_that_was_not_delegated_is_left_alone(home: Path) -> None:
    with pytest.raises(Unusable, match="Delegate=yes"):
        prepare(home, is_whole_tree=False)
    assert (home / "cgroup.subtree_control").read_text() == ""


def test_what_a_killed_worker_left_is_taken_away_and_nothing_else(home: Path) -> None:
    dead = home / "stylearena-sandbox-999999999-aa"
    alive = home / f"stylearena-sandbox-{os.getpid()}-bb"
    for left in (dead, alive):
        left.mkdir()
    prepare(home, is_whole_tree=True)
    assert not dead.exists()
    assert alive.exists()


def test_a_job_gets_what_its_phase_allows_beyond_what_is_used(home: Path) -> None:
    group = Pretended(home)
    group.limit(memory_bytes=1 << 30, processes=26)
    assert int((group.path / "memory.max").read_text()) == 1000 + (1 << 30) + (64 << 20)
    assert (group.path / "memory.swap.max").read_text() == "0"
    assert (group.path / "pids.max").read_text() == "26"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("oom 0\noom_kill 0\n", None),
        ("oom 3\noom_kill 0\n", None),
        ("oom 1\noom_kill 1\n", OutOfMemory(by_limit=True)),
        ("oom 0\noom_kill 1\n", OutOfMemory(by_limit=False)),
    ],
)
def test_the_kernel_tells_whose_memory_ran_out(
    home: Path, events: str, expected: OutOfMemory | None
) -> None:
    group = Pretended(home)
    (group.path / "memory.events").write_text(events)
    assert group.out_of_memory() == expected


@pytest.fixture
def killed(
    attack: Attack, home: Path, tmp_path: Path, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Sandbox, GeneratorJob, Group]]:
    """A sandbox in a group of files; its runner is killed once it has the upload."""
    group = Pretended(home)
    (group.path / "cgroup.procs").write_text("")
    monkeypatch.setattr(launcher, "make_group", lambda: group)
    monkeypatch.setattr(group, "remove", lambda: None)
    sandbox = Sandbox(attack(_ONE_PICTURE))
    sandbox.wait_ready(30)
    yield (
        sandbox,
        GeneratorJob(graphs.identity(tmp_path / "g.onnx"), graphs.manifest(), pixels, None),
        group,
    )
    sandbox.end()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("oom 1\noom_kill 1\n", CheckpointRejected),
        ("oom 0\noom_kill 1\n", SandboxUnavailable),
        ("oom 0\noom_kill 0\n", SandboxUnavailable),
    ],
)
def test_only_its_own_limit_is_the_generators_fault(
    killed: tuple[Sandbox, GeneratorJob, Group], events: str, expected: type[Exception]
) -> None:
    sandbox, job, group = killed

    def kill(done: int, of: int) -> None:
        for pid in descendants(sandbox.pid):
            os.kill(pid, 9)
        (group.path / "memory.events").write_text(events)

    with pytest.raises(expected) as caught:
        run_generator(sandbox, job, Limits(20, 1 << 28), on_progress=kill)
    if isinstance(caught.value, CheckpointRejected):
        assert caught.value.code == "out_of_memory"


def test_a_sandbox_is_in_its_group_from_the_start_and_takes_it_along(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        mount, root = cgroups._mount()
        home = cgroups._own(mount, root)
        trial = Group(home)
    except (Unusable, OSError) as error:
        pytest.skip(f"this process can make no groups of cgroup v2: {error}")
    trial.remove()
    monkeypatch.setattr(launcher, "make_group", lambda: Group(home))
    sandbox = Sandbox(attack("time.sleep(60)"))
    sandbox.wait_ready(30)
    (group,) = home.glob(f"stylearena-sandbox-{os.getpid()}-*")
    members = {int(pid) for pid in (group / "cgroup.procs").read_text().split()}
    assert members == {sandbox.pid, *descendants(sandbox.pid)}
    sandbox.end()
    assert not group.exists()
