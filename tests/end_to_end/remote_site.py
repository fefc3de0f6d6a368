"""A platform, and workers that know nothing but its address and a token."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis

from arena import launch
from tests.deployment import ROOT, Deployment, free_port
from tests.end_to_end.running_site import FAST_LEASES, Site
from tests.programs import program
from tests.services import Server, service_folder

PASSWORD = "of-the-platform-alone"
ISSUE = """
from arena.accounts.models import User
from evaluation.gateway import tokens
admin = User.objects.filter(username="root").first() or User.objects.create_superuser("root")
print(tokens.issue(name=%r, queue=%r, by=admin)[1])
"""
REVOKE = """
from arena.accounts.models import User
from evaluation.gateway import tokens
from evaluation.worker_token import WorkerToken
tokens.revoke(WorkerToken.objects.get(name=%r), by=User.objects.get(username="root"))
"""


@contextmanager
def tcp_redis() -> Iterator[str]:
    """Run a Redis that others can reach, and yield its address with the platform's password."""
    program, port = shutil.which("redis-server"), free_port()
    assert program, "run: apt-get install redis-server"
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"

    def is_up() -> bool:
        with suppress(redis.RedisError):
            return bool(redis.Redis.from_url(url).ping())
        return False

    with service_folder("arena-redis-", None) as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
        options += ["--save", "", "--dir", str(folder)]
        command: list[str | Path] = [program, *options]
        with Server(command, url=url, folder=folder, owner=None, is_up=is_up) as server:
            yield server.url


class RemoteSite(Site):
    """A site whose programs are started one by one."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        super().__init__(deployment)
        self.folder = folder

    def issue(self, name: str, queue: str) -> str:
        code = ISSUE % (name, queue)
        return self.deployment.manage("shell", "-v", "0", "-c", code).split()[-1]

    def revoke(self, name: str) -> None:
        self.deployment.manage("shell", "-v", "0", "-c", REVOKE % name)

    @contextmanager
    def inside(self, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a program of the platform, with all its settings."""
        env = {**self.deployment.env, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
        with program(command, env=env, log=self.deployment.log) as process:
            yield process

    @contextmanager
    def worker(self, name: str, key: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a worker as on another machine: no settings, no database."""
        token = self.folder / f"{name}.token"
        token.touch(mode=0o600)
        token.write_text(key)
        # Which kernels multiply matrices decides the last bits of FID: the same as inside.
        kernels = {key: value for key, value in os.environ.items() if key.startswith("OPENBLAS_")}
        env = {
            **kernels,
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATABASE_URL": "postgresql://nobody@nowhere.invalid/none",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }
        command = [sys.executable, "-m", "evaluation.remote", "worker"]
        command += ["--url", self.deployment.url, "--token-file", str(token), "--name", name]
        with program(command, env=env, log=self.log_of(name)) as process:
            yield process

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def wait_for_line(self, name: str, words: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while words not in (said := self.log_of(name).read_text(errors="replace")):
            assert time.monotonic() < end, f"{words}: {said[-3000:]}"
            time.sleep(0.1)


@contextmanager
def remote_site(folder: Path, *, database: str, broker: str) -> Iterator[RemoteSite]:
    """Run web server, sweeper and one worker for scores; checks wait for others."""
    env = {**FAST_LEASES, "ARENA_SWEEP_SECONDS": "1", "ARENA_WORKER_BEAT_SECONDS": "2"}
    deployment = Deployment(folder / "var", DATABASE_URL=database, REDIS_URL=broker, **env)
    deployment.manage("migrate", "--verbosity", "0")
    deployment.manage("collectstatic", "--no-input", "--verbosity", "0")
    site = RemoteSite(deployment, folder)
    with ExitStack() as programs:
        for each in (
            launch.web(deployment.port),
            launch.manage("sweeper", "sweep"),
            launch.worker("evaluation"),
        ):
            programs.enter_context(site.inside(each.command))
        deployment.wait_for("the page", deployment.answers, 90)
        yield site
