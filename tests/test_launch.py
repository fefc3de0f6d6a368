"""``make run`` for real: every process of the platform, killed in every way."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.deployment import ROOT, Deployment, deployed, free_port

PROGRAMS = ("granian", "-Q evaluation", "-Q checks", "sweep")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Deployment]:
    with deployed(tmp_path / "var") as deployment:
        for part in PROGRAMS:
            deployment.wait_for(part, partial(deployment.pid_of, part), 20)
        yield deployment


def launch(var: Path, port: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "arena.launch"],
        cwd=ROOT,
        env={**os.environ, "ARENA_VAR": str(var), "PORT": port},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        # What another copy of the web server does: share its port with whoever asks for that.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = launch(tmp_path / "var", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"stylearena: port {port} is taken by another program; choose one: make demo PORT=8001"
    ]


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "-1"])
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str) -> None:
    done = launch(tmp_path / "var", port)
    assert done.returncode == 1
    assert f"PORT={port}: write a number from 1 to 65535" in done.stderr


def test_the_platform_lives_through_its_processes_and_leaves_none_behind(
    platform: Deployment,
) -> None:
    # One deployment for all of these: each start costs seconds.
    check_that_state_is_private(platform)
    check_that_a_second_start_is_refused(platform)
    for part in PROGRAMS:
        check_that_it_comes_back(platform, part)
    check_that_a_killed_launcher_leaves_nothing(platform)
    check_that_a_warm_start_is_fast(platform)
    check_that_ctrl_c_leaves_nothing(platform)


def check_that_state_is_private(platform: Deployment) -> None:
    for name, mode in (("", 0o700), ("secret_key", 0o600), ("log", 0o700)):
        assert stat.S_IMODE((platform.var / name).stat().st_mode) == mode, name


def check_that_a_second_start_is_refused(platform: Deployment) -> None:
    done = launch(platform.var, str(free_port()))
    assert done.returncode == 1
    assert f"process {platform.launcher.pid} runs from it" in done.stderr
    assert platform.answers()


def check_that_it_comes_back(platform: Deployment, part: str) -> None:
    first = platform.pid_of(part)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    platform.wait_for(
        f"a new {part}", lambda: platform.pid_of(part) not in (first, None), seconds=40
    )
    platform.wait_for("the page", platform.answers, seconds=20)


def check_that_a_killed_launcher_leaves_nothing(platform: Deployment) -> None:
    platform.launcher.kill()
    platform.launcher.wait()
    platform.wait_for("the end of all processes", lambda: not platform.processes(), seconds=5)


def check_that_a_warm_start_is_fast(platform: Deployment) -> None:
    start = time.monotonic()
    platform.start()
    assert time.monotonic() - start < 15
    assert platform.last_words().count("preparing the database") == 1


def check_that_ctrl_c_leaves_nothing(platform: Deployment) -> None:
    start = time.monotonic()
    assert platform.stop() == 0
    assert time.monotonic() - start < 10
    assert platform.processes() == {}
    assert "Traceback" not in platform.last_words()
