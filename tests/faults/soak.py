"""A day's life squeezed into minutes: ``python -m tests.faults.soak SECONDS``, or ``make soak``.

Four workers, submissions, people who look at pages, kills and restarts. It ends with an error if
an invariant of ``tests.invariants`` was violated at any time, a submission has not been scored
once, or the memory of a process that lived long enough grows.
"""

import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from arena.launch import worker
from tests.faults.faulty_site import ENDED, SEED, FaultySite, Visitor, faulty_site
from tests.programs import running

LOOK_EVERY_S, BREAK_EVERY_S = 5.0, (8.0, 25.0)
MOST_UNDER_WAY = 6
# What comes early only, so that these processes live long enough to be measured afterwards.
EARLY, ALWAYS = ("web", "sweeper"), ("evaluation", "checks", "sandbox", "broker", "database")
# Growth over what is measured: more than either is not flat.
MOST_GROWTH_MIB, MOST_GROWTH_SHARE = 12.0, 0.06
LEAST_SPAN_S = 120.0


@dataclass
class Soak:
    """What was done, and what was found."""

    site: FaultySite
    chance: random.Random
    ids: list[str] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    problems: list[str] = field(default_factory=list)
    memory: dict[tuple[int, str], list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def live(self, seconds: float) -> None:
        begun = time.monotonic()
        next_break = begun + self.chance.uniform(*BREAK_EVERY_S)
        next_look = begun
        with Visitor(self.site.deployment.url) as visitor:
            while time.monotonic() < begun + seconds:
                self._submit()
                if time.monotonic() > next_look:
                    next_look = time.monotonic() + LOOK_EVERY_S
                    self._look()
                if time.monotonic() > next_break:
                    is_early = time.monotonic() < begun + seconds / 4
                    self._break(self.chance.choice(ALWAYS + EARLY if is_early else ALWAYS))
                    next_break = time.monotonic() + self.chance.uniform(*BREAK_EVERY_S)
                time.sleep(0.5)
            self.site.wait_until_ended(self.ids)
            self._look()
        answers = Counter(status for _, _, status, _ in visitor.answers)
        print(f"pages and API: {dict(answers)}")
        if set(answers) - {200, 503, 0}:
            self.problems.append(f"answers of pages and API: {dict(answers)}")
        if len(answers) == 0 or answers[200] < len(visitor.answers) / 2:
            self.problems.append(f"pages were mostly away: {dict(answers)}")
        self.site.require_scored_once(self.ids)

    def _submit(self) -> None:
        under_way = [each for each in self.site.statuses(self.ids) if each not in ENDED]
        if len(under_way) >= MOST_UNDER_WAY:
            return
        with suppress(httpx.HTTPError):  # it may have been taken all the same: its row is looked at
            answer = self.site.submit()
            if answer.status_code == 201:
                self.ids.append(answer.json()["id"])
            elif answer.status_code != 503:
                self.problems.append(f"submitting: {answer.status_code} {answer.text[:200]}")

    def _look(self) -> None:
        self.looks += 1
        for name, rows in self.site.violations().items():
            self.problems.append(f"{name}: {rows[:3]}")
        for pid in {self.site.deployment.launcher.pid, *self._processes()}:
            with suppress(OSError, StopIteration, ValueError):
                status = Path(f"/proc/{pid}/status").read_text().splitlines()
                kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
                name = name_of(pid)
                if name:
                    self.memory[pid, name].append((time.monotonic(), kib / 1024))

    def _processes(self) -> set[int]:
        found: set[int] = set()
        for pid, command in self.site.deployment.processes().items():
            if "bwrap" not in command and "keeper.py" not in command:
                found.add(pid)
        return found

    def _break(self, what: str) -> None:
        self.broken[what] += 1
        match what:
            case "broker":
                self.site.redis.stop()
                time.sleep(self.chance.uniform(0, 5))
                self.site.redis.start()
            case "database":
                self.site.postgres.stop()
                time.sleep(self.chance.uniform(0, 5))
                self.site.postgres.start()
            case _:
                self.site.kill(what, self.chance)

    def judge_memory(self) -> None:
        for (pid, name), seen in sorted(self.memory.items(), key=lambda each: each[0][1]):
            # The first third is warming up: imports, networks, caches.
            steady = seen[len(seen) // 3 :]
            if len(steady) < 4 or steady[-1][0] - steady[0][0] < LEAST_SPAN_S:
                continue
            slope = statistics.linear_regression(*zip(*steady, strict=True)).slope
            span = steady[-1][0] - steady[0][0]
            mean = statistics.fmean(mib for _, mib in steady)
            growth = slope * span
            print(
                f"  {name:<22}{pid:>8}: {mean:7.1f} MiB, {slope * 3600:+7.1f} MiB/h"
                f" over {span:.0f} s ({growth:+.1f} MiB)"
            )
            if growth > max(MOST_GROWTH_MIB, MOST_GROWTH_SHARE * mean):
                self.problems.append(f"the memory of {name} ({pid}) grows by {growth:.1f} MiB")


def name_of(pid: int) -> str:
    """Name a long-lived program of the platform; nothing for what comes and goes."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    if " -n " in command:
        return command.split(" -n ")[1].split("@")[0]
    for part, name in (("granian", "web"), ("sweep", "sweeper"), ("arena.launch", "launcher")):
        if part in command:
            return name
    return ""


def soak(site: FaultySite, seconds: float) -> Soak:
    """Live on a site for a while, and look what became of it."""
    found = Soak(site, random.Random(SEED))  # noqa: S311
    found.live(seconds)
    return found


@contextmanager
def more_workers(site: FaultySite) -> Iterator[None]:
    """Add one worker of each queue to the launcher's two; these are never killed."""
    with ExitStack() as stack:
        for queue in ("checks", "evaluation"):
            command: list[Any] = [*worker(queue).command]
            command[command.index("-n") + 1] = f"{queue}-2@%h"
            stack.enter_context(running(site.deployment, command))
        yield


def main() -> int:
    seconds = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SECONDS") or 600)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="arena-soak-"))
        site = stack.enter_context(faulty_site(Path(folder) / "var"))
        stack.enter_context(more_workers(site))
        print(f"soak of {seconds:.0f} s, seed {SEED}", flush=True)
        found = soak(site, seconds)
        print(
            f"{len(found.ids)} submissions, each scored once; broken: {dict(found.broken)}; "
            f"{found.looks} looks at the invariants"
        )
        print("memory, after a third to warm up:")
        found.judge_memory()
    for problem in found.problems:
        print(f"VIOLATED {problem}")
    print("soak: " + ("violations, see above" if found.problems else "no violation, memory flat"))
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
