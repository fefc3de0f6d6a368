"""The whole platform, started as ``make run`` starts it, for tests that need every process."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from arena.lifetime import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
PAGE_S, STOP_S = 90.0, 20.0


class Deployment:
    """Web server, workers and sweeper over a database, broker and folder of their own."""

    def __init__(self, var: Path, **env: str) -> None:
        self.var = var
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {**os.environ, **env, "ARENA_VAR": str(var), "PORT": str(self.port)}
        self.env["DJANGO_SETTINGS_MODULE"] = "arena.settings"
        self.log = var.with_name(f"{var.name}.log")
        self._launcher: subprocess.Popen[bytes] | None = None

    @property
    def launcher(self) -> subprocess.Popen[bytes]:
        assert self._launcher is not None, "start() it first"
        return self._launcher

    def start(self, *arguments: str, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, "-m", "arena.launch", *arguments],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # However the tests end, nothing of theirs goes on.
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        if wait:
            self.wait_for("the page", self.answers, PAGE_S)

    def stop(self) -> int:
        """Stop everything as Ctrl-C does, and return the exit code."""
        if self.launcher.poll() is None:
            os.killpg(self.launcher.pid, signal.SIGINT)
        return self.launcher.wait(STOP_S)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def manage(self, *arguments: str) -> str:
        """Run a management command against this deployment and return what it printed."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def processes(self) -> dict[int, str]:
        """Return the command line of every living process of this deployment, by its number."""
        marker = f"ARENA_VAR={self.var}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended while we looked
                if marker in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command and int(folder.name) != os.getpid():
                        found[int(folder.name)] = command
        return found

    def has_loaded(self, part: str, library: str) -> bool:
        """Say whether a program of the launcher, or a process below it, has loaded a library."""
        top = self.pid_of(part)
        assert top is not None, f"{part} does not run"
        family, waiting = set(), [top]
        while waiting:
            family.add(pid := waiting.pop())
            for threads in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, threads.read_text().split())
        return any(library in Path(f"/proc/{pid}/maps").read_text() for pid in family)

    def pid_of(self, part: str) -> int | None:
        """Return the number of a direct child of the launcher whose command line has ``part``."""
        children = Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children").read_text()
        commands = self.processes()
        return next(
            (int(pid) for pid in children.split() if part in commands.get(int(pid), "")), None
        )

    def wait_for(self, what: str, is_true: Callable[[], object], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, f"{what}: not within {seconds:g} s\n{self.last_words()}"
            time.sleep(0.1)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@contextmanager
def deployed(var: Path, **env: str) -> Iterator[Deployment]:
    """Start a deployment and stop it, whatever happens in between."""
    deployment = Deployment(var, **env)
    try:
        deployment.start()
        yield deployment
    finally:
        kill_all(deployment)


def kill_all(deployment: Deployment) -> None:
    if deployment._launcher is not None:
        with suppress(subprocess.TimeoutExpired):
            deployment.stop()
    for pid in deployment.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
