"""A program that tries to get out: it takes the runner's place when the walls are checked.

It is started twice. Without system call filters it tries what the namespaces, the binds and the
limits hold by themselves; with them, what the first filter refuses, and then the second. It says
READY, takes a list of what to try, and reports every attempt. It believes nothing that it is
told about the walls: each is tried, or read from the kernel.
"""

from __future__ import annotations

import array
import json
import mmap
import os
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = sys.argv[2:]

from evaluation.sandbox import probing  # noqa: E402 - found only by the line above
from evaluation.sandbox.confining import (  # noqa: E402
    enter_stage_2,
    most_threads,
    read_filter,
    set_limits,
)
from evaluation.sandbox.probing import equals, refused, system_call  # noqa: E402

Attempt = tuple[str, str, Callable[[], probing.Answer]]
"""The wall, what is tried, and how; the answer says whether the wall stood, and what happened."""

# Raw numbers, because libc would hide what happens. Arguments are chosen to be refused by the
# kernel too, with another error than a filter's, so that a hole does no harm.
_CALLS = {
    "ptrace": {"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312},
    "namespaces": {"unshare": 272, "setns": 308, "clone of a namespace": 56, "clone3": 435},
    "mounts": {
        "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428,
        "move_mount": 429, "fsopen": 430, "mount_setattr": 442,
    },
    "keys": {"add_key": 248, "request_key": 249, "keyctl": 250},
    "kernel": {
        "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425,
        "io_uring_enter": 426, "io_uring_register": 427, "init_module": 175, "kexec_load": 246,
        "iopl": 172, "ioperm": 173, "modify_ldt": 154, "personality": 135, "syslog": 103,
        "open_by_handle_at": 304, "memfd_create": 319, "memfd_secret": 447, "pidfd_open": 434,
        "pidfd_getfd": 438, "fanotify_init": 300, "inotify_init1": 294, "quotactl": 179,
        "acct": 163, "swapon": 167, "reboot": 169, "settimeofday": 164, "sethostname": 170,
        "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240, "timer_create": 222,
        "vmsplice": 278, "splice": 275, "landlock_create_ruleset": 444, "migrate_pages": 256,
        "move_pages": 279,
    },
}  # fmt: skip
_CLONE = (0x10000 | 0x40000000, 0, 0, 0, 0)  # CLONE_THREAD | CLONE_NEWNET
_ARGUMENTS = {
    "clone of a namespace": _CLONE,
    "personality": (0xFFFFFFFE,),
}
_X32 = 0x40000000
_GETPID = 39
_NEWUSER = 0x10000000
_BYTES_OF_A_THREAD = 8 << 20


_by_filter = partial(refused, errnos=probing.FILTERED)


def main() -> None:
    """Try everything and report."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(b'{"ready": true}')
    message, ancillary, _, _ = control.recvmsg(1 << 16, socket.CMSG_SPACE(8))
    fds = array.array("i")
    for _level, _kind, data in ancillary:
        fds.frombytes(data)
    task = json.loads(message)
    attempts = behind_filters if task["is_filtered"] else without_filters
    for wall, tried, attempt in attempts(task, list(fds), control.fileno()):
        row: dict[str, object] = {"wall": wall, "tried": tried}
        control.send(json.dumps(row).encode())  # should this be the end of us, it is known why
        try:
            stood, happened = attempt()
        except Exception as error:  # noqa: BLE001 - that too is an answer, and not a good one
            stood, happened = False, f"{type(error).__name__}: {error}"
        control.send(json.dumps(row | {"happened": happened[:200], "stood": stood}).encode())
    control.send(b'{"done": true}')
    control.recv(1)  # until we are ended, and looked at before


def without_filters(task: dict[str, Any], fds: list[int], _: int) -> Iterator[Attempt]:
    """Yield what namespaces, binds and limits have to stop when there is no filter at all."""
    yield from _outside(task)
    yield from _files(task)
    yield from _processes(task)
    yield from _itself()
    yield from _buffers(*fds)
    yield from _amounts(is_root_outside=task["is_root_outside"], **task["limits"])


def behind_filters(task: dict[str, Any], fds: list[int], control: int) -> Iterator[Attempt]:
    """Yield what the first filter has to refuse, and then what the second has to."""
    bpf = read_filter()
    known = {0, 1, 2, control, *fds}
    yield "descriptors", "find forgotten ones", partial(probing.descriptors, known)
    for wall, calls in _CALLS.items():
        tried = f"system calls {', '.join(calls)}"
        yield wall, tried, partial(probing.calls_refused, calls, _ARGUMENTS)
    yield "sockets", "make one of any family", probing.sockets_refused
    yield "sockets", "make a pair", partial(_by_filter, socket.socketpair)
    yield "fork", "start a process", partial(_by_filter, probing.fork)
    x32 = partial(_by_filter, system_call, _X32 | _GETPID)
    yield "32-bit calls", "getpid by an x32 number", x32
    enter_stage_2(bpf)
    yield from _behind_the_second()
    # Last: a kernel without 32-bit calls may end the process for it, which is as good.
    int_80 = partial(_by_filter, probing.call_as_32_bit)
    yield "32-bit calls", "getpid through int 0x80", int_80


def _outside(task: dict[str, Any]) -> Iterator[Attempt]:
    (host, port), name = task["tcp"], task["unix"]
    connect = partial(refused, socket.create_connection, (host, port), 2)
    yield "network", f"connect over TCP to {host}:{port}", connect
    # Sent into a network of one's own it is lost: whether it arrives is seen outside.
    yield "network", "send over UDP", partial(probing.sent, tuple(task["udp"]))
    unix = partial(refused, socket.socket(socket.AF_UNIX).connect, f"\0{name}")
    yield "network", "connect to an abstract unix socket", unix
    walls = {"net": "network", "ipc": "ipc", "uts": "host name", "pid": "processes"}
    for kind, wall in {**walls, "user": "namespaces", "mnt": "files"}.items():
        other = partial(probing.is_other_namespace, kind, task["namespaces"][kind])
        yield wall, f"share the worker's namespace ({kind})", other
    yield "host name", "read it", lambda: equals(socket.gethostname(), "sandbox")


def _files(task: dict[str, Any]) -> Iterator[Attempt]:
    for path in task["files"]:
        yield "files", f"read {path}", partial(refused, Path(path).read_bytes)
    for program in ("/bin/sh", "/usr/bin/env", "/usr/bin/python3", "/usr/bin/bwrap"):
        yield "exec", f"find {program}", partial(refused, Path(program).stat)
    for folder in ("/", "/opt", "/opt/arena", "/opt/arena/styletransfer", "/opt/python", "/dev"):
        touch = partial(refused, Path(folder, "x").touch)
        yield "read-only", f"make a file in {folder}", touch
    places = ["/", "/dev", *task["binds"]]
    tried = f"find any of {len(places)} places mounted for writing"
    yield "read-only", tried, partial(probing.are_read_only, places)
    devices = partial(probing.plain_devices, task["devices"])
    yield "devices", "find others than null, zero, random and tty", devices
    if task["devices"]:
        yield "honest generators", "start CUDA on the GPU", probing.cuda_starts
    for place, size in task["temporary"].items():
        yield "temporary files", f"room in {place}", partial(probing.has_room, place, size)
        write = partial(refused, Path(place, "x").write_bytes, b"x" * 4096)
        yield "file size", f"write a file in {place}", write


def _processes(task: dict[str, Any]) -> Iterator[Attempt]:
    yield "processes", "see others in /proc", lambda: equals(probing.pids(), [1])
    hides = partial(probing.hides, "cmdline", task["secrets"])
    yield "processes", "read the worker's paths in /proc/1/cmdline", hides
    known = set(task["environment"])
    yield "environment", "read /proc/1/environ", partial(probing.variables, known)
    yield "signals", "signal any other process", partial(refused, os.kill, -1, 0)
    yield "terminal", "be in the worker's session", lambda: equals(os.getsid(0), os.getpid())


def _itself() -> Iterator[Attempt]:
    yield "privileges", "hold a capability", probing.capabilities
    yield "privileges", "no_new_privs", lambda: equals(probing.status("NoNewPrivs"), "1")
    yield "privileges", "become another user", partial(refused, os.setuid, 0)
    unshare = partial(refused, system_call, 272, _NEWUSER)
    yield "namespaces", "make a user namespace", unshare
    yield "mounts", "mount a file system", partial(refused, probing.mount)
    for name, most in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_NOFILE", 64)):
        wall = "file size" if name == "RLIMIT_FSIZE" else "limits"
        yield wall, f"hard {name}", partial(probing.hard_limit, name, most)


def _buffers(checkpoint: int, result: int) -> Iterator[Attempt]:
    write = partial(refused, os.pwrite, checkpoint, b"x", 0)
    yield "buffers", "write into the checkpoint", write
    yield "buffers", "map the checkpoint for writing", partial(refused, mmap.mmap, checkpoint, 0)
    yield "buffers", "make the result shorter", partial(refused, os.ftruncate, result, 1)
    found = struct.unpack("f", os.pread(result, 4, 0))[0]
    yield "buffers", "what stands in the result", lambda: equals(str(found), "nan")


def _amounts(
    *, memory_bytes: int, cpu_s: int, threads: int, is_root_outside: bool
) -> Iterator[Attempt]:
    """Yield the job's own limits, set as the runner sets them."""
    # One that is left behind: whoever ends the sandbox has to end it too.
    yield "leftovers", "leave a process behind", probing.leave_a_process
    set_limits(memory_bytes=memory_bytes, cpu_s=cpu_s, threads=threads)
    most = most_threads(threads)
    tried = f"have {2 * memory_bytes >> 20} MiB where {memory_bytes >> 20} are allowed"
    yield "memory", tried, partial(probing.memory_ends, 2 * memory_bytes)
    if is_root_outside:  # the kernel doesn't count those of a root's container: memory ends them
        most = memory_bytes // _BYTES_OF_A_THREAD
    yield "threads", f"start more than {most}", partial(probing.threads_end, most)
    yield "processor time", "hard RLIMIT_CPU", partial(probing.hard_limit, "RLIMIT_CPU", cpu_s + 2)
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    raising = partial(refused, resource.setrlimit, resource.RLIMIT_AS, everything)
    yield "limits", "raise them again", raising


def _behind_the_second() -> Iterator[Attempt]:
    """Yield what has to be refused once an upload is there."""
    here, new, nowhere = "/opt/arena/runner.py", "/tmp/y", "/nowhere"  # noqa: S108
    calls: dict[str, tuple[str, Callable[[], object]]] = {
        "open for reading": ("open", partial(os.open, here, os.O_RDONLY)),
        "open for writing": ("open", partial(os.open, new, os.O_CREAT | os.O_WRONLY)),
        "openat2": ("open", partial(system_call, 437)),
        "list a folder": ("open", partial(os.listdir, "/")),
        "remove a file": ("open", partial(os.unlink, new)),
        "make a folder": ("open", partial(os.mkdir, new)),
        "follow a link": ("open", partial(os.readlink, "/proc/self/exe")),
        "exec": ("exec", partial(os.execv, nowhere, [nowhere])),
        "execveat": ("exec", partial(system_call, 322)),
        "prctl": ("second filter", partial(system_call, 157, 3)),
        "load a third filter": ("second filter", partial(system_call, 317, 3)),
        "ioctl": ("second filter", partial(system_call, 16, 0, 0x5401)),
        "pipe": ("second filter", os.pipe),
        "kill": ("signals", partial(os.kill, 1, 0)),
        "prlimit": ("limits", partial(system_call, 302, 0, 7)),
    }
    for tried, (wall, call) in calls.items():
        yield wall, f"{tried}, behind the second filter", partial(_by_filter, call)


if __name__ == "__main__":
    main()
