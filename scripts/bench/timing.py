"""Take CPU time: of variants in turn within this process, and of whole programs.

CPU time and not the clock on the wall, so that a neighbour's load says little; in turn, so that
what the machine does meanwhile meets all of them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What the libraries below read when they are loaded: this process, and every program started by it.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def interleave(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each variant's median CPU seconds over ``rounds`` in turn, after one to warm up."""
    for run in variants.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            started = time.process_time()
            run()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def wall_seconds(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes by the clock on the wall."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Finished:
    """What a program took, with all that it started, and what it printed."""

    cpu_s: float
    output: str


def run_python(arguments: Sequence[object], *, threads: int = 1) -> Finished:
    """Run ``python`` with some arguments to its end.

    Raises:
        CalledProcessError: it failed; its errors have been printed.
    """
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | dict.fromkeys(ONE_THREAD, str(threads)) | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command, cwd=ROOT, env=environment, stdout=output, stderr=errors
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            errors.seek(0)
            print(errors.read()[-4000:], file=sys.stderr)
            raise subprocess.CalledProcessError(process.returncode, command)
        return Finished(used.ru_utime + used.ru_stime, output.read())
