"""A running platform on a PostgreSQL and a Redis of its own, all of whose parts may be broken."""

import json
import os
import random
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from evaluation.demo.baselines import identity_baseline
from tests.deployment import Deployment, deployed
from tests.end_to_end.running_site import Site
from tests.invariants import Rows, violations
from tests.services import Server, fresh_database, postgres_server, redis_server

IS_FULL = bool(os.environ.get("ARENA_FAULTS_FULL"))
SEED = int(os.environ.get("ARENA_FAULTS_SEED") or secrets.randbits(32))
RECIPE = {"metrics": ["content", "style", "total"]}
ENDED = ("scored", "failed", "rejected", "cancelled")
END_S = 3000.0 if IS_FULL else 420.0
# The real times where they are measured, short ones where it is only about what comes out.
LEASES = (
    {"ARENA_LEASE_SECONDS": "30", "ARENA_HEARTBEAT_SECONDS": "10"}
    if IS_FULL
    else {
        "ARENA_LEASE_SECONDS": "6",
        "ARENA_HEARTBEAT_SECONDS": "2",
        "ARENA_RESEND_SECONDS": "5",
        "ARENA_SWEEP_SECONDS": "1",
    }
)
UNTHROTTLED = {
    "ARENA_THROTTLE_UPLOAD": "100000/hour",
    "ARENA_THROTTLE_USER": "100000/min",
    "ARENA_THROTTLE_ANON": "100000/min",
}
# By what a command line holds: the launcher's children, and what is below a worker.
PROGRAMS = {
    "web": "granian",
    "checks": "-Q checks",
    "evaluation": "-Q evaluation",
    "sweeper": "django sweep",
}


class FaultySite:
    def __init__(self, deployment: Deployment, postgres: Server, redis: Server, url: str) -> None:
        self.deployment, self.postgres, self.redis = deployment, postgres, redis
        self._database_url = url
        self._connection: Any = None
        self._serial = secrets.randbits(40)
        pairs = 1 if IS_FULL else 2  # one: no second pass, half the work
        self.site = Site(deployment, pairs=pairs, recipe=RECIPE, **roomy())
        self.http = httpx.Client(
            base_url=deployment.url,
            headers={"Authorization": f"Token {self.site.token}"},
            timeout=60,
        )

    # --- Asking the database ------------------------------------------------------------------
    def query(self, sql: str, *values: Any) -> Rows:
        """Ask the database itself; it may have been restarted since the last time."""
        for _ in range(2):
            try:
                if self._connection is None:
                    self._connection = psycopg2.connect(self._database_url)
                    self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    cursor.execute(sql, values or None)
                    return list(cursor.fetchall()) if cursor.description else []
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                self._connection, last = None, error
        raise last

    def rows(self, ids: Sequence[str], *columns: str) -> dict[str, tuple[Any, ...]]:
        found = self.query(
            f"SELECT id::text, {', '.join(columns)} FROM submissions_submission"  # noqa: S608
            " WHERE id::text = ANY(%s)",
            list(ids),
        )
        return {row[0]: row[1:] for row in found}

    def runs(self, submission: str, stage: str = "score") -> list[tuple[Any, ...]]:
        return self.query(
            "SELECT attempt, outcome, worker FROM evaluation_evaluationrun"
            " WHERE submission_id = %s AND stage = %s ORDER BY attempt",
            submission,
            stage,
        )

    def violations(self, *, at_rest: bool = False) -> dict[str, Rows]:
        return violations(self.query, at_rest=at_rest)

    # --- Taking part --------------------------------------------------------------------------
    def make_checkpoint(self) -> bytes:
        """Return a generator that nobody has sent before."""
        self._serial += 1
        name = str(self._serial).encode()
        # A doc string, which protobuf lets anybody append.
        return identity_baseline().checkpoint + b"\x32" + bytes([len(name)]) + name

    def send(self, checkpoint: bytes, phase: str = "") -> httpx.Response:
        return self.http.post(
            f"/api/v1/phases/{phase or self.site.phase}/submissions/",
            files={"checkpoint": ("identity.onnx", checkpoint)},
            data={"manifest": json.dumps(identity_baseline().manifest)},
        )

    def submit(self, phase: str = "") -> httpx.Response:
        return self.send(self.make_checkpoint(), phase)

    def submit_many(self, number: int, phase: str = "") -> list[str]:
        ids = []
        for _ in range(number):
            answer = self.submit(phase)
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["id"])
        return ids

    def wait(self, what: str, is_true: Any, seconds: float = END_S) -> None:
        self.deployment.wait_for(what, is_true, seconds)

    def statuses(self, ids: Sequence[str]) -> list[str]:
        return [status for (status,) in self.rows(ids, "status").values()]

    def wait_until_ended(self, ids: Sequence[str]) -> None:
        self.wait(
            "the end of all submissions",
            lambda: all(status in ENDED for status in self.statuses(ids)),
        )

    def require_scored_once(self, ids: Sequence[str]) -> None:
        """Make sure that every one has exactly one set of scores and nothing is amiss."""
        self.wait("the runs' ends", lambda: not self.violations(at_rest=True), 120)
        ends = self.rows(ids, "status", "failure_code", "faults")
        assert {end[0] for end in ends.values()} == {"scored"}, ends
        assert len(ends) == len(ids)
        counted = self.query(
            "SELECT r.submission_id::text, count(*) FROM evaluation_evaluationrun r"
            " JOIN evaluation_score s ON s.run_id = r.id"
            " WHERE r.submission_id::text = ANY(%s) GROUP BY r.submission_id",
            list(ids),
        )
        assert len(counted) == len(ids)
        assert {count for _, count in counted} == {len(RECIPE["metrics"])}

    # --- Breaking it --------------------------------------------------------------------------
    def pid_of(self, name: str) -> int | None:
        return self.deployment.pid_of(PROGRAMS[name])

    def sandboxes(self) -> list[int]:
        """Return processes of sandboxes: keepers, bubblewraps, and the runners inside."""
        found = []
        for top in ("checks", "evaluation"):
            worker = self.pid_of(top)
            below = descendants(worker) if worker is not None else []
            found += [pid for pid in below if pid != worker]
        return found

    def kill(self, name: str, chance: random.Random) -> int | None:
        """Kill a part with SIGKILL, without a word; return its number, None if there is none."""
        candidates = self.sandboxes() if name == "sandbox" else [self.pid_of(name)]
        target = chance.choice(candidates) if candidates else None
        if target is not None:
            with suppress(ProcessLookupError):
                os.kill(target, signal.SIGKILL)
        return target


def descendants(top: int) -> list[int]:
    found: list[int] = []
    waiting = [top]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with suppress(OSError):
            for threads in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, threads.read_text().split())
    return found


def roomy() -> dict[str, int]:
    return {"quota_per_day": 5000, "quota_concurrent": 1000}


@contextmanager
def faulty_site(var: Path, **env: str) -> Iterator[FaultySite]:
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        redis = stack.enter_context(redis_server())
        url = fresh_database(postgres.url)
        env = {**UNTHROTTLED, **LEASES, "DATABASE_URL": url, "REDIS_URL": redis.url, **env}
        deployment = stack.enter_context(deployed(var, **env))
        made = FaultySite(deployment, postgres, redis, url)
        stack.callback(made.http.close)
        yield made


@dataclass
class Visitor:
    """Somebody who looks at a page and asks the interface all the time; notes the answers."""

    url: str
    answers: list[tuple[float, str, int, str | None]] = field(default_factory=list)
    every_s: float = 0.2

    def __enter__(self) -> "Visitor":
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def statuses(self, path: str) -> list[int]:
        return [status for _, each, status, _ in self.answers if each == path]

    def _visit(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self._stopped.wait(self.every_s):
                for path in ("/", "/api/v1/competitions/"):
                    try:
                        answer = http.get(path)
                        noted = (answer.status_code, answer.headers.get("Retry-After"))
                    except httpx.HTTPError:  # the web server itself was killed
                        noted = (0, None)
                    self.answers.append((time.monotonic(), path, *noted))
