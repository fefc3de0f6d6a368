"""Downloads against a real server that cuts the connection."""

import hashlib
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from styletransfer.download import PublishedFile, fetch
from styletransfer.errors import WeightsMismatch, WeightsUnavailable

CONTENT = np.random.default_rng(0).bytes(3_000_000)
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]


class FileServer(ThreadingHTTPServer):
    """Serves one file; by turns whole or cut after some bytes.

    Attributes:
        cuts: for each request to come, after how many bytes the connection is cut.
        ranges: the Range header of each request that came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CONTENT
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.status: int | None = None

    def file(self, prefix: str = PREFIX) -> PublishedFile:
        return PublishedFile(f"http://127.0.0.1:{self.server_port}/models/net-{prefix}.pth")


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.server.status is not None:
            self.send_error(self.server.status)
            return
        content, start = self.server.content, 0
        if wanted and self.server.knows_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(content[start:] if cut is None else content[start : start + cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_file_is_fetched_once_and_progress_is_told(server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = fetch(server.file(), tmp_path, on_progress=lambda *each: told.append(each))
    assert path.read_bytes() == CONTENT
    assert path.name == f"net-{PREFIX}.pth"
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(server.file(), tmp_path) == path
    assert server.ranges == [None]


def test_a_cut_download_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 700_000]
    path = fetch(server.file(), tmp_path, pause_s=0)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-", "bytes=1700000-"]
    assert not list(tmp_path.glob("*.part"))


def test_a_download_given_up_goes_on_at_the_next_call(server: FileServer, tmp_path: Path) -> None:
    server.cuts = [1_000_000] + [0] * 5
    with pytest.raises(WeightsUnavailable, match="ARENA_WEIGHTS_DIR"):
        fetch(server.file(), tmp_path, pause_s=0)
    assert not (tmp_path / server.file().name).exists()
    server.ranges.clear()
    assert fetch(server.file(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000000-"]


def test_a_server_that_knows_no_ranges_is_read_from_the_start(
    server: FileServer, tmp_path: Path
) -> None:
    server.cuts, server.knows_ranges = [1_000_000], False
    assert fetch(server.file(), tmp_path, pause_s=0).read_bytes() == CONTENT
    assert len(server.ranges) == 2


def test_a_whole_piece_left_by_a_killed_process_is_used(server: FileServer, tmp_path: Path) -> None:
    part = tmp_path / f"{server.file().name}.part"
    part.write_bytes(CONTENT)
    assert fetch(server.file(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("left", [b"bad" * 1000, CONTENT + b"too long"])
def test_a_bad_piece_is_thrown_away(server: FileServer, tmp_path: Path, left: bytes) -> None:
    part = tmp_path / f"{server.file().name}.part"
    part.write_bytes(left)
    assert fetch(server.file(), tmp_path, pause_s=0).read_bytes() == CONTENT
    assert server.ranges[-1] is None


def test_another_file_than_the_published_one_is_refused(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=PREFIX):
        fetch(server.file(prefix="00000000"), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_not_tried_again(server: FileServer, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(WeightsUnavailable, match=str(status)):
        fetch(server.file(), tmp_path, pause_s=0)
    assert len(server.ranges) == 1


def test_a_server_out_of_order_is_tried_again(server: FileServer, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(WeightsUnavailable, match="503"):
        fetch(server.file(), tmp_path, pause_s=0)
    assert len(server.ranges) == 5


def test_no_network_is_explained(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="by hand"):
        fetch(PublishedFile(f"http://127.0.0.1:9/net-{PREFIX}.pth"), tmp_path, pause_s=0)


def test_of_several_processes_one_downloads(server: FileServer, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=spawn) as processes:
        paths = list(processes.map(partial(fetch, folder=tmp_path), [server.file()] * 3))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.ranges == [None]


def test_only_web_addresses_are_opened(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="web address"):
        fetch(PublishedFile(f"file:///etc/net-{PREFIX}.pth"), tmp_path)


def test_a_name_without_a_hash_can_not_be_checked() -> None:
    with pytest.raises(WeightsMismatch):
        PublishedFile("https://example.org/vgg19.pth")


def test_a_whole_hash_and_a_name_may_be_given_instead(server: FileServer, tmp_path: Path) -> None:
    whole = hashlib.sha256(CONTENT).hexdigest()
    url = f"http://127.0.0.1:{server.server_port}/models/alex.pth"
    path = fetch(PublishedFile(url, name="net-alex.pth", sha256=whole), tmp_path)
    assert path == tmp_path / "net-alex.pth"
    other = whole[:8] + "0" * 56  # begins alike
    with pytest.raises(WeightsMismatch):
        fetch(PublishedFile(url, name="other.pth", sha256=other), tmp_path)
