"""The composition's proxy as a process of this machine, and a visitor who trusts its authority."""

import http.client
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from arena.lifetime import die_with_parent
from tests.composing import ROOT, service, unescaped
from tests.deployment import free_port

Answer = tuple[int | None, http.client.HTTPMessage, bytes]
HEALTH_PORT = "2020"


class Proxy:
    """Runs what the service ``proxy`` runs, with the ports of its Caddyfile moved."""

    def __init__(self, folder: Path, *, upstream: str) -> None:
        self._folder = folder / "proxy"
        self._folder.mkdir()
        self._plain, self._tls, self._health = free_port(), free_port(), free_port()
        text = (ROOT / "deploy" / "Caddyfile").read_text()
        assert HEALTH_PORT in text
        self._file = self._folder / "Caddyfile"
        self._file.write_text(text.replace(HEALTH_PORT, str(self._health)))
        self._environment = os.environ | {
            "XDG_DATA_HOME": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder),
            "HOME": str(self._folder),
            "ARENA_HOSTS": "localhost",
            "ARENA_WEB": upstream,
            "ARENA_PROXY_HTTP": str(self._plain),
            "ARENA_PROXY_HTTPS": str(self._tls),
        }

    def __enter__(self) -> Self:
        words = [
            word.replace("/usr/local/bin/caddy", "caddy").replace(
                "/etc/caddy/Caddyfile", str(self._file)
            )
            for word in unescaped(service("proxy")["command"])
        ]
        self.log = self._folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                words,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        end = time.monotonic() + 60
        while not (self._has_certificate() and self.is_healthy()):
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _authority(self) -> Path:
        return self._folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def _has_certificate(self) -> bool:
        """Say whether the site's certificate is made; that takes a moment after the start."""
        try:
            self._connection("localhost").close()
        except OSError:  # of TLS too
            return False
        return True

    def is_healthy(self) -> bool:
        """Ask as the health check does."""
        address = service("proxy")["healthcheck"]["test"][-1].replace(
            HEALTH_PORT, str(self._health)
        )
        done = subprocess.run(["wget", "--quiet", "--spider", address], check=False)
        return done.returncode == 0

    def ask(self, path: str, *, name: str = "localhost", **headers: str) -> Answer:
        """Get a page over TLS; no status where the handshake fails."""
        try:
            return self._answer(self._connection(name), "GET", path, headers)
        except ssl.SSLError:
            return None, http.client.HTTPMessage(), b""

    def send(self, path: str, body: Iterable[bytes], size: int) -> Answer:
        headers = {"Content-Length": str(size)}
        return self._answer(self._connection("localhost"), "PUT", path, headers, body)

    def ask_in_clear(self, path: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._plain, timeout=20)
        return self._answer(connection, "GET", path, {"Host": "localhost"})

    def _connection(self, name: str) -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cafile=str(self._authority()))
        connection = http.client.HTTPSConnection(name, timeout=60, context=trust)
        plain = socket.create_connection(("127.0.0.1", self._tls), timeout=60)
        connection.sock = trust.wrap_socket(plain, server_hostname=name)
        return connection

    @staticmethod
    def _answer(
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Iterable[bytes] | None = None,
    ) -> Answer:
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.msg, answer.read()
        finally:
            connection.close()

    def peak_mib(self) -> int:
        """Return the most memory that the proxy has had so far."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        [peak] = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
        return peak // 1024
