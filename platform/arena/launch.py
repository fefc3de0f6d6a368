"""Start the whole platform on this machine: ``python -m arena.launch [--demo]``.

Prepares the database and the static files, then supervises web server, workers and sweeper.
"""

import argparse
import errno
import fcntl
import hashlib
import http.client
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import distributions
from pathlib import Path

from arena.catalogues import compile_stale, find_folder
from arena.supervisor import Program, StopRequested, Supervisor

ROOT = Path(__file__).resolve().parents[2]
LOG_CONFIG = Path(__file__).with_name("granian-logging.json")
HOST = "127.0.0.1"
SOURCES = ("platform/arena", "competitions", "submissions", "evaluation")
WEB_ATTEMPTS, SEED_ATTEMPTS = 5, 3


class CannotStart(Exception):
    """Something that the person who started us has to change; one sentence."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m arena.launch", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="fill in the demo competition")
    is_demo = parser.parse_args().demo
    var = Path(os.environ.get("ARENA_VAR") or ROOT / "var").resolve()
    try:
        port = read_port()
        require_free(port)
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        var.chmod(0o700)
        with only_one(var), Supervisor(log_dir=var / "log", env=child_env(var)) as supervisor:
            try:
                translate(supervisor)
                prepare(supervisor, var)
                serve(supervisor, port=port, is_demo=is_demo)
            except StopRequested:
                supervisor.say("stopping")
    except CannotStart as error:
        print(f"stylearena: {error}", file=sys.stderr)
        return 1
    return 0


def read_port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise CannotStart(f"PORT={text}: write a number from 1 to 65535")
    return int(text)


def require_free(port: int) -> None:
    # The web server shares its port among its own processes (SO_REUSEPORT), so it would not
    # notice a second copy of itself. Asking without that option does.
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"port {port} is taken by another program; choose one: make demo PORT=8001"
                ) from None
            raise CannotStart(f"port {port} cannot be used: {error.strerror}") from None


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel drops it with the process, however that ends."""
    with (var / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise CannotStart(f"{var} is in use: process {holder} runs from it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def child_env(var: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "ARENA_VAR": str(var),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }


def manage(name: str, *arguments: str) -> Program:
    return Program(name, [sys.executable, "-m", "django", *arguments])


def worker(*queues: str) -> Program:
    """Name the process after the first of its queues."""
    queue = queues[0]
    options = ["-Q", ",".join(queues), "-n", f"{queue}@%h", "-P", "solo", "--loglevel", "INFO"]
    quiet = ["--without-gossip", "--without-mingle"]
    # Celery warns root of pickled messages; ours are JSON, and sandboxes leave root by themselves.
    python = [sys.executable, "-W", "ignore:You're running the worker with superuser privileges"]
    command = [*python, "-m", "celery", "--quiet", "-A", "arena", "worker", *options, *quiet]
    return Program(queue, command)


def web(port: int, *, processes: int = 2) -> Program:
    options = ["--interface", "wsgi", "--host", HOST, "--port", str(port), "--no-ws"]
    # Two processes of four threads: a slow upload or download holds one thread only.
    options += ["--workers", str(processes), "--blocking-threads", "4", "--respawn-failed-workers"]
    # Of each connection; by default 400 kB are kept, and an upload fills them.
    options += ["--http1-buffer-size", "65536"]
    options += ["--workers-kill-timeout", "3", "--log-level", "warning"]
    options += ["--log-config", str(LOG_CONFIG)]
    return Program("web", [sys.executable, "-m", "granian", *options, "arena.wsgi:application"])


def translate(supervisor: Supervisor) -> None:
    """Compile the translations that set-up did not compile, as in an installed package."""
    try:
        compile_stale(find_folder())
    except OSError as error:
        # English needs none. Who may not write there has the packager run arena.catalogues.
        supervisor.say(f"translations can't be compiled, pages stay in English: {error}")


def prepare(supervisor: Supervisor, var: Path) -> None:
    """Bring the database and the collected static files up to date, if anything changed."""
    stamp = var / "prepared"
    if stamp.is_file() and stamp.read_text() == fingerprint(var):
        return
    supervisor.say("preparing the database and the static files")
    steps = [
        manage("migrate", "migrate", "--no-input", "--verbosity", "0"),
        manage("static", "collectstatic", "--no-input", "--clear", "--verbosity", "0"),
    ]
    if os.environ.get("AWS_STORAGE_BUCKET_NAME"):
        steps.append(manage("storage", "prepare_storage"))
    for step in steps:
        if supervisor.run_step(step) != 0:
            raise CannotStart(f"{step.name} failed; see the lines above or {var}/log")
    stamp.write_text(fingerprint(var))


def fingerprint(var: Path) -> str:
    """Name the state that ``prepare`` leaves behind: code, packages and the files it made."""
    seen = hashlib.sha256()
    for name, version in sorted((d.name, d.version) for d in distributions()):
        seen.update(f"{name} {version}\n".encode())
    for path in migrations():
        seen.update(f"{path.relative_to(ROOT)} ".encode() + path.read_bytes())
    for path in sorted((ROOT / "static").rglob("*")):
        facts = path.stat()
        seen.update(f"{path.relative_to(ROOT)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    for path in (var / "db.sqlite3", var / "static" / "staticfiles.json"):
        # The inode tells a restored or deleted file; its content changes all the time.
        seen.update(f"{path.name} {path.stat().st_ino if path.exists() else None}\n".encode())
    if url := os.environ.get("DATABASE_URL"):
        # Nothing here can tell that a database elsewhere was replaced: never equal, so migrate.
        seen.update(url.encode() + os.urandom(16))
    return seen.hexdigest()


def migrations() -> list[Path]:
    return sorted(path for top in SOURCES for path in (ROOT / top).rglob("migrations/*.py"))


def serve(supervisor: Supervisor, *, port: int, is_demo: bool) -> None:
    """Start the page first, then the rest; look after them until somebody stops us."""
    address = f"http://{HOST}:{port}/"
    supervisor.keep(web(port))
    supervisor.wait_until(
        lambda: answers(port) or supervisor.quick_failures("web") >= WEB_ATTEMPTS, every_s=0.2
    )
    if not answers(port):
        raise CannotStart("the web server does not start; see the lines above")
    supervisor.say(f"StyleArena is at {address}  (Ctrl-C stops it)")
    supervisor.keep(worker("checks", "preparations"))
    supervisor.keep(worker("evaluation"))
    supervisor.keep(manage("sweeper", "sweep"))
    if is_demo:
        seed(supervisor)
        supervisor.say(f"The demo competition is in; its boards fill as scoring goes on: {address}")
    supervisor.wait_until(lambda: False)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=3)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def seed(supervisor: Supervisor) -> None:
    for _ in range(SEED_ATTEMPTS):
        if supervisor.run_step(manage("demo", "seed_demo")) == 0:
            return
    raise CannotStart("the demo data could not be filled in; see the lines above")


if __name__ == "__main__":
    sys.exit(main())
