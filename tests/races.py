"""Several processes that do the same thing at the same moment, on the database they are given.

A module of races is run as a program: it calls ``main`` with its races, which prints what became
of each as JSON. A test starts it by ``run_races``.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[1]
RACERS = 4

Prepare: TypeAlias = Callable[[], Any]
Run: TypeAlias = Callable[[int, Any], str]
Look: TypeAlias = Callable[[Any], dict[str, Any]]
Race: TypeAlias = tuple[Prepare, Run, Look]


def run_races(
    module: str, *, var: Path, database_url: str | None, redis_url: str | None = None
) -> Any:
    """Run a module's races on an empty database; return what it printed."""
    embedded = ("DATABASE_URL", "REDIS_URL")
    env = {name: value for name, value in os.environ.items() if name not in embedded}
    env |= {
        "ARENA_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }
    if database_url is not None:
        env["DATABASE_URL"] = database_url
    if redis_url is not None:
        env["REDIS_URL"] = redis_url
    _run(env, "django", "migrate", "-v0")
    return json.loads(_run(env, module))


def _run(env: dict[str, str], module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def main(races: Mapping[str, Race]) -> None:
    """Let the racers run every race, and print the outcomes."""
    set_up_django()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(RACERS), context.Queue()
    starts = [context.Queue() for _ in range(RACERS)]
    racers = [
        context.Process(target=wait_and_race, args=(number, start, barrier, results))
        for number, start in enumerate(starts)
    ]
    for racer in racers:
        racer.start()
    found = {}
    for name, (prepare, run, look) in races.items():
        task = prepare()
        for start in starts:
            start.put((run, task))
        outcomes = sorted(results.get(timeout=60) for _ in racers)
        found[name] = {"outcomes": outcomes, **look(task)}
    for start, racer in zip(starts, racers, strict=True):
        start.put(None)
        racer.join()
    print(json.dumps(found))


def set_up_django() -> None:
    import django

    django.setup()


def wait_and_race(number: int, start: Any, barrier: Any, results: Any) -> None:
    set_up_django()
    while (given := start.get(timeout=120)) is not None:
        run, task = given
        barrier.wait(timeout=60)
        try:
            results.put(run(number, task))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test sees it
            results.put(getattr(error, "code", None) or repr(error))
