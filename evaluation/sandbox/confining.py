"""What a program inside the sandbox gives up before it touches an upload.

Bound in beside the runner, and beside the probe that tries the walls: both do exactly the same.
Only the standard library, and torch where it is there.
"""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Any

STAGE_2 = "/opt/arena/stage2.bpf"
_MAX_OPEN = 24
_SYS_SECCOMP, _SET_MODE_FILTER, _FLAG_TSYNC = 317, 1, 1


def read_filter() -> Any:
    """Read the second filter, while files can still be opened."""
    with open(STAGE_2, "rb") as file:  # noqa: PTH123
        return ctypes.create_string_buffer(file.read())


def set_limits(*, memory_bytes: int, cpu_s: int, threads: int) -> None:
    """Limit memory, processor time, threads and open files for a job.

    Buffers are mapped by now. What is left to the job is what the phase grants, whatever the
    libraries reserved: a build of torch for GPUs maps gigabytes before it does anything.
    """
    with open("/proc/self/statm") as file:  # noqa: PTH123
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    for limit, value in (
        (resource.RLIMIT_AS, mapped + memory_bytes),
        (resource.RLIMIT_CPU, int(spent) + cpu_s),
        (resource.RLIMIT_NPROC, most_threads(threads)),  # counts this user namespace only
        (resource.RLIMIT_NOFILE, _MAX_OPEN),
    ):
        resource.setrlimit(limit, (value, value))


def most_threads(threads: int) -> int:
    """Return how many threads a job may have that computes with ``threads``."""
    return 16 + 2 * threads


def enter_stage_2(bpf: Any) -> None:
    """Load the second filter on every thread."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    program = Program((len(bpf) - 1) // 8, ctypes.addressof(bpf))
    if libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(program)):
        number = ctypes.get_errno()
        raise OSError(number, f"the second seccomp filter was refused: {os.strerror(number)}")
