"""Tie the life of a process to that of the process that started it (Linux)."""

import ctypes
import multiprocessing
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# Set by the supervisor for its children: they and what they start must not outlive it.
ENABLED_BY = "ARENA_DIE_WITH_PARENT"

# Looked up at import: nothing may be loaded between fork and exec.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(parent: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send ``by`` to this process when the thread that started it ends.

    The kernel looks at the *thread* that forked, so start children from one that lives on. A
    change of user afterwards clears the setting; exec does not.

    Args:
        parent: the process that is expected to be our parent; if it is gone already, so are we.
        by: the signal to be sent.
    """
    _call_prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os.kill(os.getpid(), by)


def die_with_server() -> None:
    """Tie a worker process of the web server to the server process, if we are supervised.

    The supervisor can do this for the processes it starts, not for those that they start.
    """
    server = multiprocessing.parent_process()
    if os.environ.get(ENABLED_BY) and server is not None and server.pid is not None:
        die_with_parent(server.pid)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ended, so that they can be stopped."""
    _call_prctl(PR_SET_CHILD_SUBREAPER, 1)


def _call_prctl(option: int, value: int) -> None:
    if _prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
