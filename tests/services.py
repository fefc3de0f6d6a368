"""A private PostgreSQL and a private Redis, each on a Unix socket in a folder of its own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from arena.lifetime import die_with_parent

START_S, STOP_S = 30.0, 10.0


class CannotStart(Exception):
    """The service did not come up; holds what it said."""


@contextmanager
def private_postgres() -> Iterator[str]:
    """Run a PostgreSQL server and yield the address of an empty database in it."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def postgres_server() -> Iterator["Server"]:
    """Run a PostgreSQL server that may be stopped and started again.

    The server refuses to run as root: there it runs as ``postgres`` or, failing that, ``nobody``.
    """
    programs = postgres_programs()
    owner = unprivileged_owner()
    with service_folder("arena-pg-", owner) as folder:
        data = folder / "data"
        setup = ["-U", "arena", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", data, *setup],
            user=owner,
            group=owner and pwd.getpwuid(owner).pw_gid,
            extra_groups=None if owner is None else [],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
        options += ["-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=60"]
        is_ready = [str(programs / "pg_isready"), "-q", "-h", str(folder)]
        with Server(
            [programs / "postgres", "-D", data, *options],
            url=f"postgresql://arena@/postgres?host={folder}",
            folder=folder,
            owner=owner,
            is_up=partial(succeeds, is_ready),
            stop_signal=signal.SIGINT,  # "fast": drops the connections that are left
        ) as server:
            yield server


@contextmanager
def private_redis() -> Iterator[str]:
    """Run a Redis server and yield its address."""
    with redis_server() as server:
        yield server.url


@contextmanager
def redis_server() -> Iterator["Server"]:
    """Run a Redis server that forgets everything when it is stopped."""
    program = shutil.which("redis-server")
    if program is None:
        raise CannotStart("redis-server is missing. Run: apt-get install redis-server")
    with service_folder("arena-redis-", None) as folder:
        address = folder / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(address), "--save", "", "--dir", str(folder)]
        answers = ["redis-cli", "-s", str(address), "ping"]
        with Server(
            [Path(program), *options],
            url=f"unix://{address}",
            folder=folder,
            owner=None,
            is_up=partial(succeeds, answers) if shutil.which("redis-cli") else address.exists,
        ) as server:
            yield server


def postgres_programs() -> Path:
    """Return the folder of the newest server; in Debian it is not on the PATH."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    versions = list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not versions:
        raise CannotStart("PostgreSQL is missing. Run: apt-get install postgresql")
    return max(versions, key=lambda path: int(path.parts[-3])).parent


def unprivileged_owner() -> int | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return names.get("postgres", names["nobody"])


@contextmanager
def service_folder(prefix: str, owner: int | None) -> Iterator[Path]:
    # Straight under /tmp: the path of a socket holds 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    if owner is not None:
        os.chown(folder, owner, -1)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A server of the tests; it dies with them, however they end."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        url: str,
        folder: Path,
        owner: int | None,
        is_up: Callable[[], bool],
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.url = url
        self._command, self._folder, self._owner = command, folder, owner
        self._is_up, self._stop_signal = is_up, stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                user=self._owner,
                extra_groups=None if self._owner is None else [],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid(), by=self._stop_signal),
            )
        try:
            wait_until_up(self._process, self._is_up, log)
        except CannotStart:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def wait_until_up(process: subprocess.Popen[bytes], is_up: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + START_S
    while not is_up():
        if process.poll() is not None or time.monotonic() > end:
            raise CannotStart(f"{process.args!r}\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def succeeds(command: Sequence[str | Path]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def fresh_database(server_url: str) -> str:
    """Create an empty database on a private PostgreSQL and return its address."""
    name = f"arena_{secrets.token_hex(4)}"
    folder = server_url.partition("?host=")[2]
    command = [str(postgres_programs() / "createdb"), "-h", folder, "-U", "arena", name]
    subprocess.run(command, check=True, capture_output=True)
    return server_url.replace("/postgres?", f"/{name}?")
