"""Programs of the platform that a test starts and kills by itself."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from arena.lifetime import die_with_parent
from tests.deployment import ROOT, Deployment


@contextmanager
def program(
    command: Sequence[str], *, env: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program as the launcher would; end it with all it has started."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@contextmanager
def running(site: Deployment, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program of a site, with the site's settings and log."""
    env = site.env | {"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    with program(command, env=env, log=site.log) as process:
        yield process
