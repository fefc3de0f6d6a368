"""Try every wall of the sandbox for real, from inside, and tell what happened."""

from __future__ import annotations

import array
import contextlib
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.sandbox import memory
from evaluation.sandbox.confinement import ENVIRONMENT, TEMPORARY, Profile
from evaluation.sandbox.launcher import Sandbox
from evaluation.sandbox.slots import user_ids

_HERE = Path(__file__).parent
_READY_S = 120.0
_ROW_S = 15.0
_EXIT_S = 1.0
_NAMESPACES = ("net", "ipc", "uts", "pid", "user", "mnt")
# PWD and LC_CTYPE are what bubblewrap and the interpreter add by themselves.
_MAY_BE_SET = (*ENVIRONMENT, "PWD", "LC_CTYPE")
_LIMITS = {"memory_bytes": 2 << 30, "cpu_s": 30, "threads": 1}

# In the order of the table. A test compares them with what the probe tries.
WALLS = (
    "network",
    "sockets",
    "files",
    "open",
    "read-only",
    "devices",
    "temporary files",
    "file size",
    "environment",
    "processes",
    "signals",
    "ptrace",
    "fork",
    "exec",
    "threads",
    "memory",
    "processor time",
    "limits",
    "privileges",
    "namespaces",
    "mounts",
    "keys",
    "kernel",
    "32-bit calls",
    "second filter",
    "ipc",
    "host name",
    "terminal",
    "descriptors",
    "buffers",
    "leftovers",
)
RUNS = "honest generators"
"""No wall, but tried along with them: behind walls that let nothing happen all would be well."""


@dataclass(frozen=True)
class Finding:
    """One attempt to get through a wall."""

    wall: str
    tried: str
    happened: str
    stood: bool


def check_walls(profile: Profile | None = None) -> list[Finding]:
    """Try everything; takes about half a second.

    Raises:
        SandboxUnavailable: no sandbox can be built.
    """
    profile = profile or Profile()
    profile = replace(profile, runner=_HERE / "probe.py", beside=(_HERE / "probing.py",))
    with _Outside() as outside:
        found = _try(replace(profile, is_filtered=False), outside)
        found += _try(profile, outside)
        found += outside.findings()
    return sorted(found, key=lambda finding: (*WALLS, RUNS).index(finding.wall))


class _Outside:
    """Things of this machine that nothing inside may reach."""

    def __enter__(self) -> _Outside:
        with contextlib.ExitStack() as made:
            self._tcp = made.enter_context(socket.create_server(("127.0.0.1", 0)))
            self._udp = made.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._udp.bind(("127.0.0.1", 0))
            self._unix = made.enter_context(socket.socket(socket.AF_UNIX))
            self._name = f"stylearena-{secrets.token_hex(8)}"
            self._unix.bind(f"\0{self._name}")
            self._unix.listen()
            folder = Path(made.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o755)
            self._canary = folder / "canary"
            self._canary.write_text(secrets.token_hex())
            self._canary.chmod(0o644)
            for each in (self._tcp, self._udp, self._unix):
                each.setblocking(False)
            self._made = made.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def task(self, profile: Profile) -> dict[str, Any]:
        """Tell the probe where they are."""
        return {
            "is_filtered": profile.is_filtered,
            "tcp": self._tcp.getsockname(),
            "udp": self._udp.getsockname(),
            "unix": self._name,
            "files": [str(self._canary), "/etc/passwd", str(_HERE / "pool.py")],
            "binds": [bind.target for bind in profile.binds()],
            "environment": _MAY_BE_SET,
            "secrets": [str(_HERE)],
            "temporary": TEMPORARY,
            "limits": _LIMITS,
            "devices": [] if profile.gpu is None else profile.gpu.devices,
            "is_root_outside": os.geteuid() != 0 and _id_outside(os.geteuid()) == 0,
            "namespaces": {
                kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in _NAMESPACES
            },
        }

    def findings(self) -> Iterator[Finding]:
        """Say whether anything arrived, whatever the probe says."""
        for kind, listener in (("TCP", self._tcp), ("a unix socket", self._unix)):
            try:
                listener.accept()[0].close()
                arrived = True
            except BlockingIOError:
                arrived = False
            yield _seen("network", f"arrive over {kind}", arrived)
        try:
            self._udp.recv(16)
            arrived = True
        except BlockingIOError:
            arrived = False
        yield _seen("network", "arrive over UDP", arrived)


def _seen(wall: str, tried: str, is_there: bool) -> Finding:
    return Finding(wall, tried, "it did" if is_there else "nothing did", not is_there)


def _try(profile: Profile, outside: _Outside) -> list[Finding]:
    fds = [memory.seal_array(np.zeros(64, np.uint8)), memory.unwritten_floats((16,))]
    sandbox = Sandbox(profile)
    try:
        sandbox.wait_ready(_READY_S)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        # While it waits: what has its task may be done before /proc is read.
        family = _family(sandbox.pid)
        owner = _outer_user(sandbox, family)
        sandbox.control.sendmsg([json.dumps(outside.task(profile)).encode()], [rights])
        found = [*_rows(sandbox), owner]
        family |= _family(sandbox.pid)  # with what it left behind
    finally:
        sandbox.end()
        for fd in fds:
            os.close(fd)
    left = [pid for pid in sorted(family) if _is_there(pid)]
    happened = f"processes {left}" if left else f"none of {len(family)} did"
    return [*found, Finding("leftovers", "outlive the sandbox", happened, not left)]


def _rows(sandbox: Sandbox) -> Iterator[Finding]:
    trying = {"wall": "descriptors", "tried": "answer at all"}
    while True:
        packet = sandbox.receive(_ROW_S)
        try:
            said = json.loads(packet or b"")
            if "done" in said:
                return
            if "stood" in said:
                wall, stood = str(said["wall"]), said["stood"] is True
                yield Finding(wall, str(said["tried"]), str(said["happened"]), stood)
            else:
                trying = said
        except (ValueError, KeyError, TypeError):
            code = sandbox.wait_for_exit(_EXIT_S)
            # There a kernel may end whoever tries; anywhere else it is no answer.
            stood = trying["wall"] == "32-bit calls" and code is not None and code > 128
            yield Finding(trying["wall"], trying["tried"], f"the probe ended with {code}", stood)
            return


def _outer_user(sandbox: Sandbox, family: set[int]) -> Finding:
    """Ask the kernel whose the processes are outside: inside they all say nobody."""
    expected = {os.geteuid() if sandbox.uid is None else sandbox.uid}
    found: set[int] = set()
    for pid in family:
        with contextlib.suppress(OSError):
            found |= user_ids(Path(f"/proc/{pid}"))
    return Finding(
        "privileges",
        "run as root, or as another sandbox's user",
        ", ".join(map(str, sorted(found))),
        found == expected and 0 not in found,
    )


def _is_there(pid: int) -> bool:
    state = _state_and_parent(pid)
    return state is not None and state[0] != "Z"


def _id_outside(uid: int) -> int:
    """Return what a user id is called outside of this container, as far as can be seen."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, outside, count = map(int, line.split())
        if inside <= uid < inside + count:
            return outside + uid - inside
    return uid


def _family(keeper: int) -> set[int]:
    """Return every process below the keeper."""
    everybody = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {pid: state[1] for pid in everybody if (state := _state_and_parent(pid))}
    found: set[int] = set()
    fresh = {keeper}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh}
        found |= fresh
    return found


def _state_and_parent(pid: int) -> tuple[str, int] | None:
    try:
        # The name, in parentheses, may itself hold spaces and parentheses.
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return words[0], int(words[1])
