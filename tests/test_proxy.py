"""The proxy alone, before a web server that notes what it gets, or that is away."""

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import free_port
from tests.proxy import Proxy

MIB = 1 << 20
SIZE = 1024 * MIB


class Notes(socketserver.StreamRequestHandler):
    """Reads a request as it comes and says what it was."""

    has_begun = threading.Event()

    def handle(self) -> None:
        head = {}
        line = self.rfile.readline()
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            head[name.lower()] = value
        left = int(head.get("content-length", 0))
        size = left
        while left:
            left -= len(self.rfile.read(min(left, MIB)))
            self.has_begun.set()
        said = "\n".join(f"{name}: {value}" for name, value in sorted(head.items())).encode()
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(said), said)
        )
        assert size == int(head.get("content-length", 0))


@pytest.fixture
def upstream() -> Iterator[str]:
    Notes.has_begun.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Notes) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_upload_of_a_gibibyte_goes_through_as_it_comes(upstream: str, tmp_path: Path) -> None:
    block = bytes(MIB)

    def sent() -> Iterator[bytes]:
        for number in range(SIZE // MIB):
            if number == 64:  # the proxy holds back less than that
                assert Notes.has_begun.wait(30), "the first bytes wait for the last"
            yield block

    with Proxy(tmp_path, upstream=upstream) as proxy:
        status, _, said = proxy.send("/api/v1/uploads/", sent(), SIZE)
        assert status == 200
        assert f"content-length: {SIZE}".encode() in said
        assert proxy.peak_mib() < 200


def test_what_visitors_say_of_themselves_is_replaced(upstream: str, tmp_path: Path) -> None:
    forged = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "X-Request-ID": "chosen",
    }
    with Proxy(tmp_path, upstream=upstream) as proxy:
        _, _, said = proxy.ask("/", **forged)
    head = dict(line.split(": ", 1) for line in said.decode().splitlines())
    assert head["x-forwarded-for"] == "127.0.0.1"
    assert head["x-forwarded-proto"] == "https"
    assert head["x-forwarded-host"] == head["host"] == "localhost"
    assert head["x-request-id"] != "chosen"


def test_while_the_web_server_is_away_visitors_are_asked_to_come_back(tmp_path: Path) -> None:
    with Proxy(tmp_path, upstream=f"127.0.0.1:{free_port()}") as proxy:
        status, headers, said = proxy.ask("/")
    assert status == 503
    assert headers["Retry-After"] == "10"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert b"Nothing is lost" in said
