"""What a second worker gains on one large submission, beside what a second GEMM process gains.

Workers are the platform's own, with an embedded database and broker; each has one core to itself,
as each GEMM process has. Times are the clock's, for two cores can't be told apart by CPU seconds:
run this on a quiet machine.
"""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO

from arena.launch import worker
from arena.lifetime import die_with_parent
from scripts.bench.rows import Row, at_least
from scripts.bench.setting import Setting
from scripts.bench.timing import ONE_THREAD, ROOT

WORKERS = 2
LONGEST_S = 1800.0
GEMM = """
import sys, time
import torch
torch.set_num_threads(1)
left, right = torch.rand(2, 2048, 2048)
out = torch.empty(2048, 2048)
torch.mm(left, right, out=out)
print("ready", flush=True)
sys.stdin.readline()
end, done = time.perf_counter() + float(sys.argv[1]), 0
while time.perf_counter() < end:
    torch.mm(left, right, out=out)
    done += 1
print(done, flush=True)
"""


def measure(setting: Setting) -> Iterator[Row]:
    """Score one submission with one worker and with two, in turn with one GEMM and with two."""
    cores = sorted(os.sched_getaffinity(0))[:WORKERS]
    if len(cores) < WORKERS:
        print("  there is one core only: nothing to gain", file=sys.stderr)
        return
    pairs, parts = setting.choose(48, quick=8), setting.choose(8, quick=2)
    site = Site(setting.folder / "shards", pairs=pairs, parts=parts)
    site.fill()
    with site.worker(0, cores[0]), site.worker(1, cores[1]) as second:
        site.score()  # both load their networks, and measure the references
        site.score()
        rounds = [
            measure_round(site, second, cores, seconds=setting.choose(10, quick=2))
            for _ in range(setting.choose(3, quick=1))
        ]
    one, two = (statistics.median(each.seconds[n] for each in rounds) for n in range(WORKERS))
    yield Row(f"{site.pairs} pairs in {site.parts} shards, one worker", one, "s")
    yield Row("  two workers", two, "s")
    gained = statistics.median(each.gain for each in rounds)
    gemm = statistics.median(each.gemm_gain for each in rounds)
    yield Row("  gain of the second worker", gained, "times")
    yield Row("  gain of a second GEMM process", gemm, "times")
    share = statistics.median(each.gain / each.gemm_gain for each in rounds)
    yield Row("  the one over the other", share, "times", bar=setting.full_only(at_least(0.9)))


@dataclass(frozen=True)
class Round:
    """Seconds of one and of two workers; products per second of one and of two processes."""

    seconds: tuple[float, float]
    products: tuple[float, float]

    @property
    def gain(self) -> float:
        """How many times as fast two workers are."""
        return self.seconds[0] / self.seconds[1]

    @property
    def gemm_gain(self) -> float:
        """How many times as many products two processes make."""
        return self.products[1] / self.products[0]


def measure_round(
    site: "Site", second: "subprocess.Popen[bytes]", cores: Sequence[int], *, seconds: float
) -> Round:
    """Measure each of the four once."""
    os.killpg(second.pid, signal.SIGSTOP)
    alone = site.score()
    os.killpg(second.pid, signal.SIGCONT)
    one = multiply(cores[:1], seconds)
    both = site.score()
    two = multiply(cores, seconds)
    return Round((alone, both), (one, two))


def multiply(cores: Sequence[int], seconds: float) -> float:
    """Return how many products a second processes make together, one on each core."""
    programs = [
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", GEMM, str(seconds)],
            env=os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=partial(os.sched_setaffinity, 0, {core}),
            text=True,
        )
        for core in cores
    ]
    for program in programs:  # all are ready before any begins
        _pipe(program.stdout).readline()
    for program in programs:
        _pipe(program.stdin).write("\n")
        _pipe(program.stdin).flush()
    return sum(int(program.communicate()[0]) for program in programs) / seconds


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("not a pipe")
    return pipe


class Site:
    """A platform of its own: database, broker, files."""

    def __init__(self, var: Path, *, pairs: int, parts: int) -> None:
        self.pairs, self.parts = pairs, parts
        self._var = var
        self._environment = {
            **os.environ,
            **ONE_THREAD,
            "ARENA_VAR": str(var),
            "ARENA_SHARD_PAIRS": str(pairs // parts),
            "DJANGO_SETTINGS_MODULE": "arena.settings",
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }

    def fill(self) -> None:
        """Make the phase and the submission."""
        self._run("fill", str(self.pairs))

    def score(self) -> float:
        """Have the submission scored; return the seconds from its first worker to its scores.

        Raises:
            TimeoutError: it was not.
        """
        before = self._scored_runs()
        self._run("again")
        end = time.monotonic() + LONGEST_S
        while len(runs := self._scored_runs()) == len(before):
            if time.monotonic() > end:
                raise TimeoutError(f"no scores: see {self._var}.log")
            time.sleep(0.1)
        return runs[-1]

    @contextmanager
    def worker(self, number: int, core: int) -> "Iterator[subprocess.Popen[bytes]]":
        """Keep one of the platform's workers going, on one core."""
        command = [
            part.replace("evaluation@", f"evaluation{number}@")
            for part in worker("evaluation").command
        ]

        def prepare(parent: int) -> None:
            die_with_parent(parent)
            os.sched_setaffinity(0, {core})

        with self._var.with_name(f"{self._var.name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(prepare, os.getpid()),
            )
        try:
            yield process
        finally:
            for number in (signal.SIGCONT, signal.SIGTERM):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            process.wait(60)

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "scripts.bench.shards_site", *arguments]
        subprocess.run(command, cwd=ROOT, env=self._environment, check=True)  # noqa: S603

    def _scored_runs(self) -> list[float]:
        """Return how many seconds each run with scores took, by the database's clock."""
        query = (
            "SELECT started_at, finished_at FROM evaluation_evaluationrun "
            "WHERE outcome IN ('passed', 'superseded') ORDER BY id"
        )
        database = f"file:{self._var / 'db.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            rows = connection.execute(query).fetchall()
        times = [[datetime.fromisoformat(moment) for moment in row] for row in rows]
        return [(finished - started).total_seconds() for started, finished in times]
