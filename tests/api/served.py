"""A web server as in production, over a database and a folder of its own, and curl to ask it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena.launch import web
from tests.deployment import free_port
from tests.uploads import MANIFEST_JSON

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    uploaded: int

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True)
class Site:
    """A web server over a database and a folder of its own."""

    port: int
    var: Path
    key: str
    phases: dict[str, int]
    scored: str
    log: Path
    server: int

    def curl(self, path: str, *options: str, token: bool = True) -> Answer:
        head, body = self.var / "head", self.var / "body"
        command = ["curl", "-sS", "--max-time", "60", "-D", str(head), "-o", str(body)]
        command += ["-w", "%{http_code} %{size_upload}", *options]
        if token:
            command += ["-H", f"Authorization: Token {self.key}"]
        command.append(f"http://127.0.0.1:{self.port}/api/v1/{path}")
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        status, uploaded = done.stdout.split()
        last = head.read_text().strip().split("\n\n")[-1]  # an earlier one is "100 Continue"
        lines = [line.partition(":") for line in last.splitlines()[1:]]
        headers = {name.lower(): value.strip() for name, _colon, value in lines}
        return Answer(int(status), headers, body.read_text(), int(uploaded))

    def upload(
        self, phase: str, content: bytes, *options: str, manifest: str = MANIFEST_JSON
    ) -> Answer:
        file = self.var / "generator.onnx"
        file.write_bytes(content)
        (self.var / "manifest.json").write_text(manifest)
        parts = ["-F", f"checkpoint=@{file}", "-F", f"manifest=<{self.var}/manifest.json"]
        return self.curl(f"phases/{self.phases[phase]}/submissions/", *parts, *options)

    def leftovers(self) -> list[Path]:
        """Return what uploads leave behind, once the server had a moment to clean up."""
        end = time.monotonic() + 10
        while (found := list((self.var / "tmp").iterdir())) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def stored(self) -> int:
        return len(list(self.var.glob("media/checkpoints/**/*.bin")))


@contextmanager
def served_site(var: Path, **settings: str) -> Iterator[Site]:
    """Fill a database in ``var`` and serve it; ``settings`` come from the environment."""
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env |= {
        "ARENA_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }
    env |= settings
    python = [sys.executable, "-m"]
    subprocess.run([*python, "django", "migrate", "-v0"], cwd=ROOT, env=env, check=True)
    filled = subprocess.run(
        [*python, "tests.api.demo_site"], cwd=ROOT, env=env, check=True, capture_output=True
    )
    port, log = free_port(), var / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            web(port, processes=1).command,
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_open(port, server, log)
        yield Site(port=port, var=var, log=log, server=server.pid, **json.loads(filled.stdout))
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


def wait_until_open(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        else:
            return


def memory_of(parent: int) -> int:
    """Return the most memory, in bytes, that a worker of the web server ever held."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    peaks = [
        int(line.split()[1]) * 1024
        for pid in children
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max(peaks)
