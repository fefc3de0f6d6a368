"""How much memory this program needs, and what something added to it; free of torch.

Linux's own account of the process is read: what ``getrusage`` says begins at the peak of the
program that started this one.
"""

import contextlib
import os
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"
_LONGEST = 1 << 14


class Account:
    """The kernel's account of this process, kept open to be read where nothing can be opened."""

    def __init__(self) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):  # no such file on macOS
            self._file = os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def resident_bytes(self) -> int:
        """Return how much is in memory now."""
        return self._read("VmRSS")

    def peak_bytes(self) -> int:
        """Return how much was in memory at the same time, at most."""
        return self._read("VmHWM")

    def _read(self, name: str) -> int:
        if self._file is not None:
            for line in os.pread(self._file, _LONGEST, 0).decode().splitlines():
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Footprint:
    """Measures from when it is made; only then does it open anything."""

    def __init__(self) -> None:
        # Where the kernel lets us, what was needed at most before counts no longer.
        with contextlib.suppress(OSError):
            _CLEAR.write_text(_FORGET_PEAK)
        self._account = Account()
        self._before = self._account.resident_bytes()

    def added_bytes(self) -> int:
        """Return how much more than at the start was in memory at the same time, at most."""
        return max(0, self._account.peak_bytes() - self._before)
