"""A program that tries to get out: it takes the runner's place in a self-test.

It runs behind the first filter only, so what it can't do is stopped before the second one.
It says READY, takes a list of what to try, and reports what worked. Nothing should.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _PTRACE_TRACEME = 0x10000000, 0


def main() -> None:
    """Try everything and report."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(b'{"ready": true}')
    task = json.loads(control.recv(1 << 16))
    found = [name for name, attempt in _attempts(task) if _works(attempt)]
    found += [name for name in os.environ if name not in task["environment"]]
    found += _strangers(task)
    control.send(json.dumps({"found": found}).encode()[:4096])


def _attempts(task: dict[str, Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    for path in task["files"]:
        yield f"read {path}", Path(path).read_bytes
    yield "connect over TCP", lambda: socket.create_connection(tuple(task["address"]), 2)
    yield "make a unix socket", lambda: socket.socket(socket.AF_UNIX)
    yield "start a process", os.fork
    for shell in ("/bin/sh", "/usr/bin/env", "/usr/bin/python3"):
        yield f"see {shell}", Path(shell).stat
    for folder in ("/", "/opt", "/opt/arena", "/dev"):
        yield f"write to {folder}", Path(folder, "x").touch
    yield "write a file's contents", lambda: Path("/tmp/x").write_bytes(b"x" * 4096)  # noqa: S108
    libc = ctypes.CDLL(None, use_errno=True)
    for name, arguments in (("unshare", (_CLONE_NEWUSER,)), ("ptrace", (_PTRACE_TRACEME, 0, 0, 0))):
        yield f"call {name}", _checked(getattr(libc, name), arguments)


def _strangers(task: dict[str, Any]) -> list[str]:
    """Say what /proc tells about the world outside."""
    found = []
    if [entry for entry in os.listdir("/proc") if entry.isdigit()] != ["1"]:  # noqa: PTH208
        found.append("other processes are visible")
    names = {word.partition(b"=")[0].decode() for word in _proc("environ").split(b"\0") if word}
    found += [f"{name} in the first process" for name in names - set(task["environment"])]
    return found


def _proc(name: str) -> bytes:
    return Path("/proc/1", name).read_bytes()


def _checked(call: Any, arguments: tuple[int, ...]) -> Callable[[], object]:
    def attempt() -> None:
        if call(*arguments) < 0:
            raise OSError(ctypes.get_errno())

    return attempt


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
