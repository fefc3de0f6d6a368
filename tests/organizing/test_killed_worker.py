"""A worker that is killed in the middle of an import leaves nothing half done: the next does it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from arena.launch import worker
from tests.deployment import Deployment
from tests.programs import running

PICTURES = 120
FAST = {"ARENA_LEASE_SECONDS": "4", "ARENA_HEARTBEAT_SECONDS": "1", "ARENA_SWEEP_SECONDS": "1"}

# Large pictures, so that the worker is busy with them for some seconds.
ASK = """
import io
from PIL import Image
from tests.organizing.uploads import ask, make_empty_set, pack
def picture(number):
    image = Image.effect_noise((1600, 1200), 20 + number).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()
data = pack({f"{number}.jpg": picture(number) for number in range(%d)})
ask(make_empty_set(size=256), data)
"""
SHOW = """
from competitions.models import Preparation, ReferenceImage
row = Preparation.objects.get()
print(row.status, row.attempt, row.progress_done, ReferenceImage.objects.count())
"""


def show(site: Deployment) -> tuple[str, int, int, int]:
    status, attempt, done, images = site.manage("shell", "-v", "0", "-c", SHOW).split()
    return status, int(attempt), int(done), int(images)


def stored(site: Deployment, folder: str) -> list[Path]:
    return [path for path in (site.var / "media" / folder).rglob("*") if path.is_file()]


@pytest.mark.timeout(900)
def test_an_import_goes_on_with_another_worker_when_the_first_is_killed(tmp_path: Path) -> None:
    site = Deployment(tmp_path / "var", **FAST)
    site.manage("migrate", "--verbosity", "0")
    site.manage("shell", "-v", "0", "-c", ASK % PICTURES)
    checks = list(worker("checks", "preparations").command)
    with running(site, checks) as first:
        # Files tell at once that the work has begun; a management command takes seconds.
        site.wait_for("a picture", lambda: len(stored(site, "references")) > 6, 200)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(20)
    left = len(stored(site, "references"))
    assert 6 < left < 2 * PICTURES
    assert show(site)[:2] == ("running", 1)
    assert show(site)[3] == 0
    with running(site, [sys.executable, "manage.py", "sweep"]), running(site, checks):
        site.wait_for("the end", lambda: show(site)[0] == "done", 300)
        _status, attempt, done, images = show(site)
        assert (done, images) == (PICTURES, PICTURES)
        assert attempt > 1
        assert len(stored(site, "references")) == 2 * PICTURES  # with their small copies
        site.wait_for("the upload's end", lambda: not stored(site, "uploads"), 60)
