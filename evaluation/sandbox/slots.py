"""User ids for sandboxes that root starts: one each, leased, and never anybody else's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import signal
import stat
from pathlib import Path
from types import TracebackType

from evaluation.sandbox.values import SandboxUnavailable

# Between the ids that Debian hands out to accounts and the ones it reserves. No account is made:
# a number is enough to own processes, and without an account nobody can log in as it.
FIRST_UID = 64_200
COUNT = 64
_LOCKS = Path("/run/stylearena-sandbox")


class Slot:
    """A user id that only this process uses until it is released, or dies."""

    def __init__(self) -> None:
        self._lock, self.uid = _lease()
        # What a worker left that was killed while one of its sandboxes started.
        self.sweep()

    def sweep(self) -> None:
        """Kill whatever still runs under this user id."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                process = os.pidfd_open(int(entry.name))
                try:
                    # Asked after the descriptor is open, so that a reused number can't be hit.
                    if self.uid in user_ids(entry):
                        signal.pidfd_send_signal(process, signal.SIGKILL)
                finally:
                    os.close(process)

    def release(self) -> None:
        """Sweep, and let others have the user id."""
        self.sweep()
        os.close(self._lock)

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lease() -> tuple[int, int]:
    _LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = _LOCKS.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != 0 or state.st_mode & 0o022:
        raise SandboxUnavailable(f"{_LOCKS} must be a folder that only root can write to.")
    for uid in range(FIRST_UID, FIRST_UID + COUNT):
        if _is_an_account(uid):
            continue
        lock = os.open(_LOCKS / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return lock, uid
    last = FIRST_UID + COUNT - 1
    raise SandboxUnavailable(f"All sandbox user ids {FIRST_UID} to {last} are in use.")


def _is_an_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def user_ids(process: Path) -> set[int]:
    """Return the user ids of a process, given as its folder in /proc."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith("Uid:"):
            return {int(uid) for uid in line.split()[1:]}
    return set()
