"""How the probe tries one thing: each function returns whether a wall stood, and what happened.

Bound in beside `probe.py`; only the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Answer = tuple[bool, str]

FILTERED = (errno.EPERM, errno.ENOSYS)
_DEVICES = {"null", "zero", "full", "random", "urandom", "tty"}
_NAMES_OF_OTHERS = {"ptmx", "stdin", "stdout", "stderr", "console", "core"}
_FAMILIES = (1, 2, 10, 16, 17, 38, 40)  # unix, IPv4, IPv6, netlink, packet, alg, vsock
_SETTLE_S = 0.05
_LONG_S = 60
_GETPID_32 = 20


def refused(
    call: Callable[..., object], *arguments: Any, errnos: tuple[int, ...] | None = None
) -> Answer:
    """Call it; it has to fail, and with one of ``errnos`` where only a filter will do."""
    try:
        call(*arguments)
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        number = getattr(error, "errno", None)
        name = errno.errorcode.get(number or 0, type(error).__name__)
        if errnos is not None and number not in errnos:
            return False, f"reached the kernel: {name}"
        return True, f"refused: {name}"
    return False, "it worked"


def equals(found: Any, expected: Any) -> Answer:
    """Compare what the kernel says with what it should say."""
    return found == expected, f"{found}" if found == expected else f"{found}, not {expected}"


def system_call(number: int, *arguments: int) -> int:
    """Call the kernel by number."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = int(libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
    if done < 0:
        raise OSError(ctypes.get_errno(), "")
    return done


def calls_refused(calls: Mapping[str, int], arguments: Mapping[str, tuple[int, ...]]) -> Answer:
    """Try each with arguments that the kernel itself would refuse otherwise."""
    nonsense = (-1,) * 6
    reached = []
    for name, number in calls.items():
        given = (number, *arguments.get(name, nonsense))
        stood, happened = refused(system_call, *given, errnos=FILTERED)
        if not stood:
            reached.append(f"{name} {happened}")
    return not reached, "; ".join(reached) or "refused: EPERM or ENOSYS"


def sockets_refused() -> Answer:
    """Try to make sockets of the families that have done harm."""
    for family in _FAMILIES:
        stood, happened = refused(system_call, 41, family, 2, 0, errnos=FILTERED)
        if not stood:
            return False, f"family {family}: {happened}"
    return True, "refused: EPERM"


def sent(address: tuple[str, int]) -> Answer:
    """Send a datagram; who listens sees whether it arrives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", address)
    return True, "see whether it arrives"


def hard_limit(name: str, most: int) -> Answer:
    """Ask the kernel for a limit that can't be raised any more."""
    hard = resource.getrlimit(getattr(resource, name))[1]
    return 0 <= hard <= most, str(hard)


def fork() -> None:
    """Start a process, which ends at once."""
    if os.fork() == 0:
        os._exit(0)


def call_as_32_bit() -> None:
    """Ask for the process id as 32-bit programs do."""
    code = b"\xb8" + struct.pack("<I", _GETPID_32) + b"\xcd\x80\xc3"  # mov eax, n; int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    answer = ctypes.CFUNCTYPE(ctypes.c_int)(start)()
    if answer < 0:
        raise OSError(-answer, "")


def is_other_namespace(kind: str, of_worker: str) -> Answer:
    """Compare a namespace with the worker's."""
    found = str(Path(f"/proc/self/ns/{kind}").readlink())
    return (False, "it is the worker's own") if found == of_worker else (True, "another one")


def are_read_only(places: Iterable[str]) -> Answer:
    """Ask of each place how it is mounted."""
    writable = [place for place in places if not os.statvfs(place).f_flag & os.ST_RDONLY]
    return not writable, f"writable: {', '.join(writable)}" if writable else "read-only"


def plain_devices(wanted: Iterable[str]) -> Answer:
    """Look for devices that can do anything."""
    known = _DEVICES | _NAMES_OF_OTHERS | {Path(place).name for place in wanted}
    found = []
    for entry in Path("/dev").iterdir():
        kind = entry.lstat().st_mode
        is_device = stat.S_ISCHR(kind) or stat.S_ISBLK(kind)
        if is_device and entry.name not in known:
            found.append(entry.name)
    return not found, ", ".join(sorted(found)) or "none"


def cuda_starts() -> Answer:
    """Ask the driver's own library whether it finds a GPU."""
    cuda = ctypes.CDLL("libcuda.so.1")
    count = ctypes.c_int()
    for step, code in (
        ("cuInit", cuda.cuInit(0)),
        ("cuDeviceGetCount", cuda.cuDeviceGetCount(ctypes.byref(count))),
    ):
        if code:
            return False, f"{step} answered {code}"
    return count.value == 1, f"{count.value} GPU"


def has_room(place: str, most: int) -> Answer:
    """Ask how much can be written somewhere."""
    system = os.statvfs(place)
    room = system.f_blocks * system.f_frsize
    return 0 < room <= most, f"{room >> 20} MiB"


def pids() -> list[int]:
    """Return the processes that can be seen."""
    return sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def status(name: str) -> str:
    """Return a line of the kernel's about this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split(":", 1)[1].strip()
    return ""


def hides(name: str, secrets: list[str]) -> Answer:
    """Look for words of the worker's in what /proc says of the first process."""
    said = Path("/proc/1", name).read_bytes().decode(errors="replace")
    found = [secret for secret in secrets if secret in said]
    return not found, ", ".join(found) or "none there"


def variables(known: set[str]) -> Answer:
    """Look for variables, also in the environment that the first process was started with."""
    words = Path("/proc/1/environ").read_bytes().split(b"\0")
    names = {word.partition(b"=")[0].decode(errors="replace") for word in words if word}
    found = sorted({*names, *os.environ} - known)
    return not found, ", ".join(found) or "no unknown variable"


def capabilities() -> Answer:
    """Look for rights of root's."""
    held = {name: status(name) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    some = [f"{name} {mask}" for name, mask in held.items() if int(mask, 16)]
    return not some, ", ".join(some) or "none"


def mount() -> None:
    """Mount a file system."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, b"") < 0:
        raise OSError(ctypes.get_errno(), "")


def leave_a_process() -> Answer:
    """Start a process that goes its own way."""
    if os.fork() == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            time.sleep(_LONG_S)
        os._exit(0)
    return True, "see whether it outlives the sandbox"


def memory_ends(size: int) -> Answer:
    """Ask for more memory than there should be."""
    with contextlib.suppress(OSError, ValueError, MemoryError):
        mmap.mmap(-1, size).close()
        return False, f"{size >> 20} MiB were there"
    return True, "refused: ENOMEM"


def threads_end(most: int) -> Answer:
    """Start threads until it is refused."""
    done = threading.Event()
    started = 0
    try:
        for _ in range(4 * most):
            threading.Thread(target=done.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    finally:
        done.set()
        time.sleep(_SETTLE_S)
    return started <= most, f"stopped after {started}"


def descriptors(allowed: Iterable[int]) -> Answer:
    """Look for open files that the worker forgot to close."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        # The listing itself has one, closed by now.
        with contextlib.suppress(OSError):
            os.fstat(int(entry.name))
            if int(entry.name) not in allowed:
                found.append(entry.name)
    return not found, ", ".join(found) or "none"
