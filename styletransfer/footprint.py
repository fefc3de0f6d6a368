"""How much memory something added to this process; free of torch."""

import contextlib
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_CLEAR = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


class Footprint:
    """Measures from when it is made; only then does it open anything."""

    def __init__(self) -> None:
        # Where the kernel lets us, what was needed at most before counts no longer.
        with contextlib.suppress(OSError):
            _CLEAR.write_text(_FORGET_PEAK)
        self._before = _resident_bytes()

    def added_bytes(self) -> int:
        """Return how much more than at the start was in memory at the same time, at most."""
        return max(0, _peak_bytes() - self._before)


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no such file on macOS
        return _peak_bytes()


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
