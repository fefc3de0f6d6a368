"""Start bubblewrap and see to it that nothing of it outlives the worker.

This file is a program, run by the worker as ``python -I -S keeper.py``, one per sandbox. It reads
its plan, a line of JSON, from its standard input and then watches that pipe: when the worker
closes it, or dies in whatever way, the pipe ends and everything below this process is killed.

Why a process of its own: bubblewrap's ``--die-with-parent`` follows the *thread* that started it
and is set late, so that a kill during start-up left processes behind. This one has a single thread,
and as their subreaper it inherits every orphan, so that it can find and kill it.

It imports nothing from the project: after dropping its user id it could not read it any more.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import stat
import sys

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_PR_SET_CHILD_SUBREAPER = 36
_STAGE = "/tmp"  # noqa: S108 - covered by a file system that only this process and its children see
_FAILED = 70

libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Run one sandbox; return bubblewrap's exit status."""
    plan = json.loads(_read_line(0))
    _check(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become a subreaper")
    if plan["group"] is not None:
        _join(plan["group"])
    if plan["stage"]:
        _stage(plan["stage"])
    if plan["uid"] is not None:
        _become(plan["uid"])
    os.nice(plan["nice"])
    for name, value in plan["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    child = os.posix_spawn(
        plan["command"][0],
        plan["command"],
        {},  # bubblewrap's own environment can be read from inside
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
    )
    return _watch(child)


def _join(processes: str) -> None:
    """Enter a control group, and with us all that we start."""
    fd = os.open(processes, os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, b"0")
    os.close(fd)


def _become(uid: int) -> None:
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise OSError(error.errno, f"can't give up root's rights: {error.strerror}") from error


def _stage(paths: list[list[str]]) -> None:
    """Bind every source to a place that any user may enter, in a mount namespace of our own."""
    _check(libc.unshare(_CLONE_NEWNS), "make a mount namespace")
    _mount(None, "/", _MS_REC | _MS_PRIVATE)
    # Opened first: the stage may cover the very folder that a source lies in.
    sources = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source, _ in paths]
    _mount(b"tmpfs", _STAGE, _MS_NOSUID | _MS_NODEV, kind=b"tmpfs", options=b"mode=0755")
    for fd, (_, place) in zip(sources, paths, strict=True):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.mkdir(place, 0o755)  # noqa: PTH102
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        _mount(f"/proc/self/fd/{fd}".encode(), place, _MS_BIND | _MS_REC)
        os.close(fd)


def _mount(
    source: bytes | None, target: str, flags: int, kind: bytes = b"", options: bytes = b""
) -> None:
    done = libc.mount(source, target.encode(), kind, ctypes.c_ulong(flags), options)
    _check(done, f"mount {target}")


def _watch(child: int) -> int:
    process = os.pidfd_open(child)
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(process, select.POLLIN)
    poll.poll()
    _, status = os.waitpid(child, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status)
    _end_all()
    return code if code >= 0 else 128 - code


def _end_all() -> None:
    """Kill every descendant and wait until none is left."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)  # a child that ended is a zombie until we wait: no reuse
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                    # The name, in parentheses, may itself hold spaces and parentheses.
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if parent == os.getpid():
                found.append(int(entry))
    return found


def _read_line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(fd, 1 << 16)
        if not piece:
            raise SystemExit(_FAILED)
        line += piece
    return line


def _check(code: int, what: str) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"can't {what}: {os.strerror(number)}")


def _run() -> None:
    try:
        code = main()
    except OSError as error:
        sys.stderr.write(f"keeper: {error}\n")
        code = _FAILED
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _run()
