"""Memory of this process, from what Linux says of it.

Not from ``getrusage``: the peak that it reports begins with that of the process that started this
one, and never falls below it.
"""

from pathlib import Path


def held_mib() -> float:
    """Return what this process holds now, in MiB."""
    return _read("VmRSS")


def peak_mib() -> float:
    """Return the most that this process has held, in MiB."""
    return _read("VmHWM")


def _read(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/self/status has no {name}")
