"""The quick checks with a time limit for all of them: a database that hangs is no answer either.

Nothing on this side can break off a query whose server has stopped in the middle of it. So one
thread of its own makes the checks, and whoever asks waits for it so long and no longer. Those who
ask while it is at it wait for the same one: nothing piles up however often they ask.
"""

import threading
from dataclasses import dataclass, field

from django.db import connections

from arena.operations import checks
from arena.operations.checks import Finding

PATIENCE_S = 3.0


@dataclass
class _Attempt:
    findings: dict[str, Finding] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            for name in checks.READINESS:
                self.findings[name] = checks.run_one(name, checks.READINESS[name])
        finally:
            self.done.set()
            connections.close_all()  # this thread's own


_lock = threading.Lock()
_attempts: list[_Attempt] = []  # one at most


def find_out(patience_s: float = PATIENCE_S) -> list[Finding]:
    """Make the checks of readiness; those that have not ended in time are not well."""
    with _lock:
        if not _attempts or _attempts[0].done.is_set():
            _attempts[:] = [_Attempt()]
            threading.Thread(target=_attempts[0].run, name="readiness", daemon=True).start()
        attempt = _attempts[0]
    attempt.done.wait(patience_s)
    late = f"no answer within {patience_s:g} s"
    return [
        attempt.findings.get(name) or Finding(name, is_ok=False, detail=late)
        for name in checks.READINESS
    ]
