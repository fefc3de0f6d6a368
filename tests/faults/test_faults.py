"""Every part of a running platform is broken on purpose; nothing is lost and nothing done twice.

A few submissions each; ``make faults`` has it do the full number, with leases of 30 seconds, and
prints what it measured. ``ARENA_FAULTS_SEED`` repeats the random moments of another time.
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from arena.launch import worker
from tests.deployment import ROOT
from tests.faults.faulty_site import ENDED, IS_FULL, LEASES, SEED, FaultySite, Visitor, faulty_site
from tests.faults.soak import soak
from tests.programs import running

pytestmark = pytest.mark.timeout(0 if IS_FULL else 900)
KINDS = ("evaluation", "checks", "sandbox", "sweeper", "web")
SUBMISSIONS, QUEUED, KILLS = (100, 50, 30) if IS_FULL else (5, 5, 5)
BETWEEN_KILLS_S = (5.0, 20.0) if IS_FULL else (1.0, 5.0)
MAY_TAKE_S = 60
AWAY_S = 20.0 if IS_FULL else 6.0
LEASE = timedelta(seconds=int(LEASES["ARENA_LEASE_SECONDS"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultySite]:
    print(f"\nrandom moments of seed {SEED}")
    with faulty_site(tmp_path_factory.mktemp("faults") / "var") as made:
        made.wait("workers", lambda: workers_online(made) == 2, 180)
        yield made


def workers_online(site: FaultySite) -> int:
    found = site.query(
        "SELECT count(*) FROM evaluation_worker WHERE ended_at IS NULL"
        " AND seen_at > now() - interval '30 seconds'"
    )
    return int(found[0][0])


# --- 1. Killed ----------------------------------------------------------------------------------
def test_whatever_is_killed_each_submission_ends_with_one_set_of_scores(site: FaultySite) -> None:
    chance = random.Random(SEED)  # noqa: S311
    sender = Sender(site, SUBMISSIONS)
    sender.start()
    watch = Watch(site, sender.ids)
    kinds = [*KINDS] if not IS_FULL else []
    chance.shuffle(kinds)
    killed: Counter[str] = Counter()
    while not (sender.is_done and watch.has_ended()):
        if sum(killed.values()) < KILLS:
            kind = kinds.pop() if kinds else chance.choice(KINDS)
            watch.look(until=time.monotonic() + chance.uniform(*BETWEEN_KILLS_S))
            watch.note_kill(kind)
            killed[kind] += site.kill(kind, chance) is not None
        watch.look(until=time.monotonic() + 0.5)
        assert time.monotonic() < watch.deadline, (killed, site.statuses(sender.ids))
    sender.join()
    assert not sender.problem, sender.problem
    assert len(set(sender.ids)) == SUBMISSIONS
    print(f"kills: {dict(killed)}; recoveries in s: {[round(each) for each in watch.took]}")
    site.require_scored_once(sender.ids)
    if watch.took:
        median = statistics.median(watch.took)
        print(f"median recovery {median:.1f} s of {len(watch.took)}, lease {LEASE.seconds} s")
        if IS_FULL:
            assert median <= MAY_TAKE_S


class Sender(threading.Thread):
    """Submits, as somebody who sends again what was not answered."""

    def __init__(self, site: FaultySite, number: int) -> None:
        super().__init__(daemon=True)
        self.site, self.number = site, number
        self.ids: list[str] = []
        self.problem = ""
        self.is_done = False

    def run(self) -> None:
        try:
            while len(self.ids) < self.number and not self.problem:
                self._send()
        finally:
            self.is_done = True

    def _send(self) -> None:
        content = self.site.make_checkpoint()
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                answer = self.site.send(content)
            except httpx.HTTPError:
                time.sleep(0.5)  # its connection was cut: it may have been taken all the same
                continue
            if answer.status_code == 201:
                self.ids.append(answer.json()["id"])
                return
            if answer.status_code == 409:
                self.ids.append(answer.json()["submission"])
                return
            if answer.status_code not in {502, 503}:
                self.problem = answer.text
                return
            time.sleep(0.5)
        self.problem = "not taken within two minutes"


class Watch:
    """Measures how long it takes until what a killed process held is held by another."""

    def __init__(self, site: FaultySite, ids: Sequence[str]) -> None:
        self.site, self.ids = site, ids
        self.waiting: dict[str, tuple[int, float]] = {}
        self.took: list[float] = []
        self.deadline = time.monotonic() + (5400 if IS_FULL else 600)

    def has_ended(self) -> bool:
        return all(status in ENDED for status in self.site.statuses(self.ids))

    def note_kill(self, kind: str) -> None:
        stages = {"evaluation": ["running"], "checks": ["checking"]}
        wanted = stages.get(kind, ["running", "checking"] if kind == "sandbox" else [])
        held = self.site.query(
            "SELECT id::text, attempt FROM submissions_submission"
            " WHERE lease_expires_at IS NOT NULL AND status = ANY(%s)",
            wanted,
        )
        for submission, attempt in held:
            self.waiting.setdefault(submission, (attempt, time.monotonic()))

    def look(self, *, until: float) -> None:
        while time.monotonic() < until:
            found = self.site.rows([*self.waiting], "status", "attempt", "lease_expires_at")
            for submission, (status, attempt, lease) in found.items():
                before, since = self.waiting[submission]
                is_free = status in ENDED or (status == "queued" and lease is None)
                if attempt == before and is_free:
                    del self.waiting[submission]  # the kill did not hit its attempt
                elif attempt > before + 1:
                    self.took.append(time.monotonic() - since)
                    del self.waiting[submission]
            time.sleep(0.25)


# --- 2. The broker ------------------------------------------------------------------------------
def test_a_broker_that_is_stopped_and_emptied_loses_nothing_and_doubles_nothing(
    site: FaultySite,
) -> None:
    ids = site.submit_many(QUEUED)
    site.wait("one to queue", lambda: set(site.statuses(ids)) - {"checking"}, 300)
    site.redis.stop()
    try:
        while_down = site.submit_many(2)  # taken all the same
        assert httpx.get(f"{site.deployment.url}/", timeout=60).status_code == 200
        time.sleep(AWAY_S)
        assert set(site.statuses(while_down)) == {"checking"}
    finally:
        site.redis.start()
    subprocess.run(
        ["redis-cli", "-s", site.redis.url.removeprefix("unix://"), "flushall"],
        check=True,
        capture_output=True,
    )
    ids += while_down
    site.wait_until_ended(ids)
    site.require_scored_once(ids)
    again = [each for each in ids if [run[1] for run in site.runs(each)] != ["passed"]]
    assert again == [], "scored more than once"


# --- 3. The database ----------------------------------------------------------------------------
def test_a_database_that_is_restarted_costs_a_wait_and_nothing_else(site: FaultySite) -> None:
    ids = site.submit_many(8 if IS_FULL else 3)
    count = site.query("SELECT count(*) FROM submissions_submission")[0][0]
    site.wait("a run", lambda: {"running", "checking"} & set(site.statuses(ids)), 120)
    with Visitor(site.deployment.url) as visitor:
        site.postgres.stop()
        down_at = time.monotonic()
        time.sleep(AWAY_S)
        refused = site.submit()
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "database_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        site.postgres.start()
        up_at = time.monotonic()
        site.wait("the page", lambda: visitor.statuses("/")[-1:] == [200], 60)
        site.wait("the API", lambda: visitor.statuses("/api/v1/competitions/")[-1:] == [200], 60)
        site.postgres.stop()  # and once more, only for a moment
        site.postgres.start()
        site.wait_until_ended(ids)
    for path in ("/", "/api/v1/competitions/"):
        while_down = [
            (status, retry)
            for moment, each, status, retry in visitor.answers
            if each == path and down_at + 1 < moment < up_at
        ]
        assert while_down, "nobody asked"
        assert {status for status, _ in while_down} == {503}
        assert all(int(retry or 0) > 0 for _, retry in while_down)
    assert {status for _, _, status, _ in visitor.answers} <= {200, 503}
    site.require_scored_once(ids)
    assert site.query("SELECT count(*) FROM submissions_submission")[0][0] == count


# --- 4. A frozen worker, two sweepers -----------------------------------------------------------
def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_wakes(site: FaultySite) -> None:
    frozen = site.pid_of("evaluation")
    assert frozen is not None
    ids = site.submit_many(1)
    site.wait("a run", lambda: site.statuses(ids) == ["running"], 180)
    os.kill(frozen, signal.SIGSTOP)
    try:
        with another_worker(site, "second"), another_sweeper(site):
            site.wait("another attempt", lambda: len(site.runs(ids[0])) > 1, 180)
            site.wait_until_ended(ids)
            before = everything_of(site, ids[0])
    finally:
        os.kill(frozen, signal.SIGCONT)
    time.sleep(6)  # long enough for it to go on, and to hand in what it has
    assert everything_of(site, ids[0]) == before
    outcomes = [(outcome, name.partition("@")[0]) for _, outcome, name in site.runs(ids[0])]
    assert outcomes[0] == ("lost", "evaluation")
    assert outcomes[-1] == ("passed", "second")
    site.require_scored_once(ids)
    later = site.submit_many(1)
    site.wait_until_ended(later)  # the one that was frozen takes the next
    site.require_scored_once(later)


def everything_of(site: FaultySite, submission: str) -> Any:
    return (
        site.query("SELECT * FROM submissions_submission WHERE id = %s", submission),
        site.query(
            "SELECT * FROM evaluation_evaluationrun WHERE submission_id = %s ORDER BY id",
            submission,
        ),
        site.query(
            "SELECT s.* FROM evaluation_score s JOIN evaluation_evaluationrun r ON r.id = run_id"
            " WHERE submission_id = %s ORDER BY s.id",
            submission,
        ),
    )


@contextmanager
def another_worker(site: FaultySite, name: str, *before: str) -> Iterator[None]:
    """Run one more evaluation worker, until the block ends."""
    command = [*worker("evaluation").command]
    command[command.index("-n") + 1] = f"{name}@%h"
    with running(site.deployment, [*before, *command]):
        yield


@contextmanager
def another_sweeper(site: FaultySite) -> Iterator[None]:
    with running(site.deployment, [sys.executable, str(ROOT / "manage.py"), "sweep"]):
        yield


# --- 9. Clocks ----------------------------------------------------------------------------------
def test_workers_whose_clocks_are_five_minutes_off_score_like_any_other(site: FaultySite) -> None:
    faketime = shutil.which("faketime")
    assert faketime, "faketime is missing. Run: apt-get install faketime"
    regular = site.pid_of("evaluation")
    assert regular is not None
    number = 4
    with ExitStack() as stack:
        for name, offset in (("fast", "+300s"), ("slow", "-300s")):
            stack.enter_context(another_worker(site, name, faketime, "-f", offset))
        site.wait("three more workers", lambda: workers_online(site) >= 4, 180)
        os.kill(regular, signal.SIGSTOP)  # leaves the work to the other two
        try:
            ids = site.submit_many(number)
            site.wait_until_ended(ids)
        finally:
            os.kill(regular, signal.SIGCONT)
    site.require_scored_once(ids)
    outcomes = Counter(
        (outcome, name.partition("@")[0]) for each in ids for _, outcome, name in site.runs(each)
    )
    assert set(outcomes) == {("passed", "fast"), ("passed", "slow")}, outcomes
    off = site.query(
        "SELECT count(*) FROM evaluation_evaluationrun WHERE submission_id::text = ANY(%s)"
        " AND (started_at > now() OR finished_at > now() OR finished_at < started_at"
        " OR started_at < now() - interval '10 minutes')",
        ids,
    )
    assert off == [(0,)]


# --- An upgrade ---------------------------------------------------------------------------------
def test_an_upgrade_loses_nothing_that_waits_or_runs(site: FaultySite) -> None:
    ids = site.submit_many(3)
    site.wait("a run", lambda: "running" in site.statuses(ids), 180)
    assert set(site.statuses(ids)) - set(ENDED) != {"running"}, "some wait"
    people = site.query("SELECT count(*) FROM accounts_user")
    site.deployment.stop()
    assert not site.deployment.processes()
    held = site.rows(ids, "lease_expires_at")
    assert {lease for (lease,) in held.values()} == {None}, "whoever worked has handed back"
    # As the database of an older version was; the start brings it up to the present one.
    site.deployment.manage("migrate", "accounts", "0003", "--verbosity", "0")
    assert "[ ] 0004" in site.deployment.manage("showmigrations", "accounts")
    site.deployment.start()
    assert "[ ]" not in site.deployment.manage("showmigrations")
    site.wait_until_ended(ids)
    site.require_scored_once(ids)
    assert site.query("SELECT count(*) FROM accounts_user") == people
    charged = site.rows(ids, "faults")
    assert {faults for (faults,) in charged.values()} == {0}, "nobody's fault"


# --- 10. All of it at once ------------------------------------------------------------------------
def test_a_while_of_kills_and_restarts_violates_no_invariant(site: FaultySite) -> None:
    found = soak(site, 30)
    assert found.problems == []
    assert found.broken
