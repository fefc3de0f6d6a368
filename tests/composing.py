"""docker-compose.yml as an engine would read it, and its services as processes without one."""

import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyseccomp
import yaml

from arena.lifetime import die_with_parent
from tests.deployment import free_port
from tests.evaluation.sandbox.processes import descendants

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "deploy" / "worker-seccomp.json"
OWN = {"web", "worker"}  # stages of the Dockerfile
REDIS_PORT, ALIVE = "6379", "/tmp/alive"  # noqa: S108
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@functools.cache
def composition() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return read


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = composition()["services"][name]
    return found


def own_services() -> list[str]:
    """Return the services that run our own programs."""
    return [name for name, made in composition()["services"].items() if target(made) in OWN]


def target(made: Mapping[str, Any]) -> str | None:
    """Return the stage of the Dockerfile that a service runs, None for an image of others."""
    found: str | None = made.get("build", {}).get("target")
    return found


def filled(text: str, given: Mapping[str, str] | None = None) -> str:
    """Put values in the place of ``${NAME:-default}``."""
    values = given or {}
    return _VARIABLE.sub(lambda found: values.get(found[1]) or found[2] or "", text)


def environment(name: str, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a service's variables as the operator's ``given`` ones and the image's make them."""
    values = given or {}
    named: dict[str, str | None] = service(name)["environment"]
    made = {
        key: values.get(key) if text is None else filled(str(text), values)
        for key, text in named.items()
    }
    return image_environment() | {key: text for key, text in made.items() if text is not None}


def image_environment() -> dict[str, str]:
    """Return what the Dockerfile's ENV sets for all programs of ours."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    [words] = re.findall(r"^ENV (.*)$", lines, re.MULTILINE)
    return dict(word.split("=", 1) for word in words.split())


def command(name: str) -> list[str]:
    made = service(name)["command"]
    return shlex.split(made) if isinstance(made, str) else list(made)


def unescaped(words: list[str]) -> list[str]:
    """Return words as the engine hands them on: it keeps one of two dollars."""
    return [word.replace("$$", "$") for word in words]


def write_filter(path: Path) -> None:
    """Turn the workers' seccomp profile into what the kernel takes, as a container engine does."""
    profile = json.loads(PROFILE.read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    made = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for rule in profile["syscalls"]:
        assert rule["action"] == "SCMP_ACT_ERRNO"
        for name in rule["names"]:
            if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
                made.add_rule(pyseccomp.ERRNO(rule["errnoRet"]), name)
    with path.open("wb") as file:
        made.export_bpf(file)


class Host:
    """A stand-in for the engine: folders for volumes, and walls like a container's.

    An ordinary user without capabilities or new privileges, a read-only root, an empty /tmp, for
    workers their seccomp profile. Not like a container: network, images, AppArmor.
    """

    def __init__(self, folder: Path, *, database: str) -> None:
        self._folder = folder
        self._redis_port = free_port()
        self._services = {
            "postgresql://arena@postgres/arena": database,
            f"redis://redis:{REDIS_PORT}/0": f"redis://127.0.0.1:{self._redis_port}/0",
        }
        self.files, self.weights = folder / "files", folder / "weights"
        self.secrets = folder / "secrets"
        for made in (self.files, self.weights, self.secrets):
            made.mkdir()
        for socket in self._sockets():
            socket.chmod(0o711)  # the server belongs to another user than the services
        for name in own_services():
            self._sign(name).parent.mkdir()
        for name in composition()["secrets"]:
            (self.secrets / name).write_text("" if name == "smtp_password" else f"the-{name}")

    def environment(self, name: str, port: int) -> dict[str, str]:
        made = {key: self._here(text) for key, text in environment(name).items()}
        made["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        if "ARENA_SIGN_OF_LIFE" in made:
            assert made["ARENA_SIGN_OF_LIFE"] == ALIVE
            made["ARENA_SIGN_OF_LIFE"] = str(self._sign(name))
        return made | {"PORT": str(port)}

    def arguments(self, name: str, port: int) -> list[str]:
        """Return a service's command, without what keeps a dollar from the engine."""
        return [self._here(word).replace("8000", str(port)) for word in unescaped(command(name))]

    def run(self, name: str, *, port: int) -> str:
        """Run a service to its end and return what it said."""
        with self.started(name, port=port) as process:
            said, _ = process.communicate(timeout=180)
        assert process.returncode == 0, said
        return said

    @contextmanager
    def broker(self) -> Iterator[None]:
        """Run the service of Redis as it is written down, on a port of this machine."""
        words = self.arguments("redis", port=0)
        process = subprocess.Popen(
            [word.replace(REDIS_PORT, str(self._redis_port)) for word in words],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    def check_redis(self) -> bool:
        """Ask Redis as its health check does."""
        kind, line = unescaped(service("redis")["healthcheck"]["test"])
        assert kind == "CMD-SHELL"
        line = self._here(line).replace("redis-cli", f"redis-cli -p {self._redis_port}")
        return subprocess.run(["sh", "-c", line], capture_output=True).returncode == 0

    def shows_life(self, name: str) -> bool:
        """Ask a worker or the sweeper as its health check does."""
        kind, line = unescaped(service(name)["healthcheck"]["test"])
        assert kind == "CMD-SHELL"
        line = line.replace(ALIVE, str(self._sign(name)))
        return subprocess.run(["sh", "-c", line], capture_output=True).returncode == 0

    def _sign(self, name: str) -> Path:
        return self._folder / f"life-of-{name}" / "alive"

    @contextmanager
    def started(self, name: str, *, port: int) -> Iterator["subprocess.Popen[str]"]:
        """Run a service while the block lasts."""
        with self._walls(name) as (walls, fds):
            process = subprocess.Popen(
                [*walls, *self.arguments(name, port)],
                cwd=ROOT,
                env=self.environment(name, port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=fds,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        try:
            yield process
        finally:
            # Here no namespace ends with its first process, as in a container.
            family = _hold(descendants(process.pid))
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _kill(family)

    def _here(self, text: str) -> str:
        for there, here in (
            *self._services.items(),
            ("/var/lib/stylearena", str(self.files)),
            ("/var/lib/weights", str(self.weights)),
            ("/run/secrets", str(self.secrets)),
            ("/app", str(ROOT)),
        ):
            text = text.replace(there, here)
        return text

    @contextmanager
    def _walls(self, name: str) -> Iterator[tuple[list[str], list[int]]]:
        made = service(name)
        found = shutil.which("bwrap")
        assert found is not None
        words = [found, "--die-with-parent", "--unshare-user"]
        uid, gid = made["user"].split(":")
        words += ["--uid", uid, "--gid", gid, "--cap-drop", *made["cap_drop"]]
        words += ["--ro-bind" if made["read_only"] else "--bind", "/", "/"]
        words += ["--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--tmpfs", "/tmp"]  # noqa: S108
        # The checkout and the interpreter may lie under /tmp themselves.
        for path in (ROOT, sys.prefix, sys.base_prefix):
            folder = str(Path(path).resolve())
            words += ["--ro-bind", folder, folder]
        for folder in self._writable(made):
            words += ["--bind", folder, folder]
        words += ["--ro-bind", str(self.secrets), str(self.secrets)]
        fds = []
        for option in made["security_opt"]:
            if option == f"seccomp={PROFILE.relative_to(ROOT)}":
                path = self._folder / "filter"
                write_filter(path)
                fds.append(os.open(path, os.O_RDONLY))
                words += ["--seccomp", str(fds[0])]
        try:
            yield words, fds
        finally:
            for fd in fds:
                os.close(fd)

    def _writable(self, made: Mapping[str, Any]) -> list[str]:
        folders = [Path(self._here(volume.split(":")[1])) for volume in made["volumes"]]
        folders += self._folder.glob("life-of-*")
        return [str(folder) for folder in [*folders, *self._sockets()]]

    def _sockets(self) -> list[Path]:
        """Return the folders in which database and broker listen."""
        paths = [
            Path(address.partition("host=")[2])
            for address in self._services.values()
            if "host=" in address
        ]
        return [path if path.is_dir() else path.parent for path in paths]


def _hold(pids: Iterable[int]) -> list[int]:
    """Return descriptors of processes, which no other process can be mistaken for."""
    held = []
    for pid in pids:
        with suppress(ProcessLookupError):
            held.append(os.pidfd_open(pid))
    return held


def _kill(held: Iterable[int]) -> None:
    for process in held:
        with suppress(ProcessLookupError):  # it ended by itself
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)
