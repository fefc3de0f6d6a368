"""Limits of cgroup v2 around each sandbox, where this process may make groups of its own.

They are the outer belt: memory of files in a tmpfs, which no limit of a process counts, and an
out-of-memory kill whose reason the kernel tells. Without them everything else holds all the same.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("memory", "pids")
_WORKER = "stylearena-worker"
_PREFIX = "stylearena-sandbox-"
_SLACK_BYTES = 64 << 20
_PIDS_WHILE_STARTING = 128
_REMOVAL_S = 2.0


class Unusable(Exception):
    """Why there are no groups here."""


@dataclass(frozen=True)
class OutOfMemory:
    """What the kernel did when memory ran out."""

    by_limit: bool
    """The sandbox's own limit; else it was the machine that had none left."""


class Group:
    """The group of one sandbox; it goes with it."""

    def __init__(self, home: Path) -> None:
        self.path = home / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self.path.mkdir()
        self._write("memory.oom.group", 1)
        self._write("memory.swap.max", 0)
        self._write("pids.max", _PIDS_WHILE_STARTING)

    @property
    def processes(self) -> Path:
        """Whoever writes 0 into this file joins, with all that it starts."""
        return self.path / "cgroup.procs"

    def limit(self, *, memory_bytes: int, processes: int) -> None:
        """Let a job have so much more than the sandbox holds already."""
        used = int((self.path / "memory.current").read_text())
        self._write("memory.max", used + memory_bytes + _SLACK_BYTES)
        self._write("pids.max", processes)

    def out_of_memory(self) -> OutOfMemory | None:
        """Say whether the kernel killed for want of memory, and whose."""
        try:
            lines = (self.path / "memory.events").read_text().splitlines()
        except OSError:
            return None
        counts = {name: int(count) for name, count in (line.split() for line in lines)}
        if not counts.get("oom_kill"):
            return None
        # "oom_kill" counts kills for any reason, "oom" only what this group's own limit refused.
        return OutOfMemory(by_limit=counts.get("oom", 0) > 0)

    def remove(self) -> None:
        """Kill what is left and take the group away."""
        self._write("cgroup.kill", 1)
        end = time.monotonic() + _REMOVAL_S
        while True:
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:  # the kernel still counts somebody who is dying
                if time.monotonic() > end:
                    return
                time.sleep(0.01)

    def _write(self, file: str, value: int) -> None:
        # Older kernels lack some of these; what they limit is limited otherwise too.
        with contextlib.suppress(OSError):
            _write(self.path / file, str(value))


def make_group() -> Group | None:
    """Return a group for one sandbox; None where there can be none."""
    try:
        return Group(find_home())
    except (Unusable, OSError):
        return None


@functools.cache
def find_home() -> Path:
    """Return the group below which ours are made, and make it ready for that.

    Raises:
        Unusable: with the reason, for the operator.
    """
    mount, root = _mount()
    own = _own(mount, root)
    return prepare(own, is_whole_tree=own == mount)


def prepare(own: Path, *, is_whole_tree: bool) -> Path:
    """Let the group that this process is in, or the one around it, have groups with limits."""
    is_inner = own.name == _WORKER or (not is_whole_tree and _is_delegated(own.parent))
    home = own.parent if is_inner else own
    known = (home / "cgroup.controllers").read_text().split()
    missing = [name for name in NEEDED if name not in known]
    if missing:
        raise Unusable(f"cgroup v2 has no {' and '.join(missing)} controller here")
    is_ours = is_whole_tree or is_inner or _is_delegated(home)
    if not is_ours or not os.access(home, os.W_OK) or not os.access(home / "cgroup.procs", os.W_OK):
        raise Unusable(f"{home} is not delegated to this process (systemd: Delegate=yes)")
    wanted = " ".join(f"+{name}" for name in NEEDED)
    try:
        try:
            _write(home / "cgroup.subtree_control", wanted)
        except OSError:
            # A group with processes in it may give no limits to groups below it: make room.
            _move_all(home, home / _WORKER)
            _write(home / "cgroup.subtree_control", wanted)
    except OSError as error:
        raise Unusable(f"{home} can't be made ready: {error.strerror}") from error
    _remove_stale(home)
    return home


def _remove_stale(home: Path) -> None:
    """Take away what killed workers left: empty groups, since the processes went with them."""
    for left in home.glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):  # not empty after all
                left.rmdir()


def _move_all(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for pid in (source / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            _write(target / "cgroup.procs", pid)


def _is_delegated(path: Path) -> bool:
    """Say whether the service manager gave us this group, or an ordinary account owns it."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return False
    if owner == os.geteuid() != 0:
        return True
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(path, name) == b"1":
                return True
    return False


def _mount() -> tuple[Path, str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split()[4]), before.split()[3]
    raise Unusable("cgroup v2 is not mounted here")


def _own(mount: Path, root: str) -> Path:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            inside = line.removeprefix("0::").removeprefix(root.rstrip("/")).lstrip("/")
            if ".." in inside:
                raise Unusable("this process is in a cgroup that can't be seen from here")
            return mount / inside
    raise Unusable("this process is in no group of cgroup v2")


def _write(file: Path, text: str) -> None:
    # In one write, and never making a file: these are the kernel's.
    fd = os.open(file, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
