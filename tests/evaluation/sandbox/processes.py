"""Look for processes that should be gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path


def parents() -> dict[int, int]:
    """Return the parent of every process that is not a zombie."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if state != "Z":
                found[int(entry.name)] = int(parent)
    return found


def descendants(of: int) -> set[int]:
    """Return every process below one."""
    below, family = parents(), {of}
    while True:
        more = {pid for pid, parent in below.items() if parent in family} - family
        if not more:
            return family - {of}
        family |= more


def still_there(pids: Collection[int], *, within_s: float = 5) -> set[int]:
    """Wait until the processes are gone; return those that are not."""
    wait_for(lambda: not set(pids) & set(parents()), within_s)
    return set(pids) & set(parents())


def owned_by(uid: int) -> list[int]:
    """Return the processes of a user id."""
    found = []
    for pid in parents():
        try:
            if Path(f"/proc/{pid}").stat().st_uid == uid:
                found.append(pid)
        except OSError:
            continue
    return found


def wait_for(is_true: Callable[[], bool], within_s: float) -> None:
    """Poll until something is true or the time is over."""
    end = time.monotonic() + within_s
    while not is_true() and time.monotonic() < end:
        time.sleep(0.05)
