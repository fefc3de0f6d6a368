"""``python -m styletransfer submit`` against the real web server, over lines that break."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from styletransfer.remote import BadToken, Site, SiteAway, read_token
from tests.api.served import Site as Served
from tests.api.served import memory_of, served_site
from tests.factories import MANIFEST
from tests.uploading.cutting_line import cutting_line
from tests.uploads import make_onnx

MIB = 2**20
# 200 MiB in every run; ARENA_UPLOAD_MIB=1024 for the gigabyte.
SIZE = int(os.environ.get("ARENA_UPLOAD_MIB", "200")) * MIB
# What a web process may hold meanwhile, and what of it for the upload itself. Measured: 93 million
# bytes, of which 10 are for the upload; 8 of those are Celery's, to tell the workers at the end.
MEMORY, MEMORY_FOR_IT = 100_000_000, 16_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_site(tmp_path_factory.mktemp("site"), ARENA_THROTTLE_UPLOAD="1000/hour") as served:
        yield served


def make_file(folder: Path, size: int) -> Path:
    """Write something that begins as an ONNX graph does, longer than it is."""
    path = folder / "mine.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x08\x3a\xff\xff\xff\x7f" + os.urandom(16))
        for _ in range(size // MIB):
            file.write(os.urandom(4096) * 256)
    return path


def command(
    site: Served, path: Path, *options: str, port: int = 0, phase: str = "huge"
) -> list[str]:
    manifest = path.with_suffix(".json")
    manifest.write_text(json.dumps(MANIFEST))
    return [
        *(sys.executable, "-m", "styletransfer", "submit"),
        *("--site", f"http://127.0.0.1:{port or site.port}", "--phase", str(site.phases[phase])),
        *("--generator", str(path), "--manifest", str(manifest), *options),
    ]


def environment(site: Served) -> dict[str, str]:
    return {**os.environ, "STYLEARENA_TOKEN": site.key}


def run(site: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=environment(site), capture_output=True, text=True, timeout=500, check=False
    )


def test_over_a_line_that_is_cut_only_the_rest_is_sent_again(site: Served, tmp_path: Path) -> None:
    path = make_file(tmp_path, SIZE)
    size = path.stat().st_size
    assert site.curl("competitions/").status == 200
    before = memory_of(site.server)
    cuts = [size * 3 // 10, size * 6 // 10]
    with cutting_line(site.port, cuts=cuts) as line:
        done = run(site, *command(site, path, port=line.port))
    assert done.returncode == 0, done.stderr
    assert line.cut_at == cuts
    # A cut costs what was on its way of one piece, never what had arrived.
    assert size < line.sent < size + len(cuts) * 9 * MIB
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    assert f"SHA-256 {sha256}, here and on the site" in done.stderr
    (link,) = done.stdout.split()
    told = site.curl(f"submissions/{link.split('/')[-2]}/").body
    assert (told["sha256"], told["size_bytes"]) == (sha256, size)
    peak = memory_of(site.server)
    memory = f"{peak / 1e6:.1f} MB, {before / 1e6:.1f} before"
    print(f"{size} bytes, {line.sent} sent, web process {memory}")
    assert peak < MEMORY
    assert peak - before < MEMORY_FOR_IT
    assert site.leftovers() == []
    assert not list(site.var.glob("media/parts/*"))


def test_a_command_that_was_killed_goes_on_in_the_next_run(site: Served, tmp_path: Path) -> None:
    path = make_file(tmp_path, 40 * MIB)
    size = path.stat().st_size
    with cutting_line(site.port, cuts=[]) as line:
        first = subprocess.Popen(command(site, path, port=line.port), env=environment(site))
        while line.sent < size // 2 and first.poll() is None:
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        before = line.sent
        done = run(site, *command(site, path, port=line.port))
        assert done.returncode == 0, done.stderr
        assert line.sent - before < size - before + 9 * MIB


def test_what_the_site_refuses_is_told_in_one_line(site: Served, tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(make_onnx(size=2000))
    for phase, text in (
        ("closed", "This phase is closed"),
        ("foreign", "Join the competition"),
        ("small", "at most 1000"),
    ):
        done = run(site, *command(site, path, phase=phase))
        assert (done.returncode, done.stdout) == (2, "")
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_the_same_file_again_is_a_duplicate(site: Served, tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(make_onnx())
    assert run(site, *command(site, path)).returncode == 0
    again = run(site, *command(site, path))
    assert again.returncode == 2
    assert "submitted this file with this manifest already" in again.stderr


def test_waiting_tells_how_it_ended(site: Served, tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(make_onnx())
    waiting = subprocess.Popen(
        command(site, path, "--wait"),
        env=environment(site),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    submission = waiting.stdout.readline().strip().split("/")[-2]
    assert site.curl(f"submissions/{submission}/cancel/", "-X", "POST").status == 200
    _out, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 2
    assert "the submission was cancelled" in told


def test_a_site_that_is_not_there_says_so(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.remote.PAUSES_S", ())
    with pytest.raises(SiteAway, match="can't be reached"):
        Site("http://127.0.0.1:9", "key").get_submission("x")
    for address in ("ftp://x", "arena.example.org", "http://arena.example.org"):
        with pytest.raises(SiteAway):
            Site(address, "key")


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(BadToken, match="there is no token"):
        read_token(environment, None)
    path = tmp_path / "stylearena" / "token"
    path.parent.mkdir()
    path.write_text("secret\n")
    path.chmod(0o640)
    with pytest.raises(BadToken, match="chmod 600"):
        read_token(environment, None)
    path.chmod(0o600)
    assert read_token(environment, None) == "secret"
    assert read_token({**environment, "STYLEARENA_TOKEN": "other"}, None) == "other"
    assert read_token({**environment, "STYLEARENA_TOKEN": "other"}, path) == "secret"
