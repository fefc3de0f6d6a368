"""The doctor finds what is wrong, says what to do, and takes nothing for granted."""

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client
from django.utils.timezone import now
from pytest_django import Settings

from arena.operations import checks
from evaluation.models import Worker
from evaluation.presence import platform_version
from styletransfer.pretrained import VGG
from styletransfer.values import ExtractorPin
from submissions.states import Status
from tests.factories import make_competition, make_phase, make_submission
from tests.organizing.scene import make_organizer

pytestmark = pytest.mark.django_db


def add_worker(name: str = "w", **fields: Any) -> Worker:
    defaults = {
        "version": platform_version(),
        "device": "cpu",
        "threads": 1,
        "queues": ["checks", "preparations", "evaluation"],
        "sandbox_check": {"is_ok": True},
        "started_at": Now(),
        "seen_at": Now(),
    }
    return Worker.objects.create(name=name, **(defaults | fields))


def found(name: str) -> checks.Finding:
    [finding] = checks.run([name])
    if not finding.is_ok:
        assert finding.remedy, "what to do is part of what is wrong"
    return finding


def test_a_site_that_works_is_ok_in_every_line() -> None:
    add_worker()
    said = io.StringIO()
    call_command("doctor", "--json", stdout=said)
    lines = json.loads(said.getvalue())
    assert [line["check"] for line in lines] == list(checks.CHECKS)
    assert all(line["is_ok"] for line in lines), said.getvalue()


def test_the_doctor_ends_with_1_if_something_is_wrong() -> None:
    said = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "workers", "database", stdout=said)
    assert ended.value.code == 1
    assert "WRONG workers" in said.getvalue()
    assert "ok    database" in said.getvalue()


def test_a_database_that_is_away_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "ARENA_VAR": str(tmp_path),
        "DATABASE_URL": f"postgresql://arena@/arena?host={tmp_path}",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json", "database", "migrations", "disk"],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    by_name = {line["check"]: line for line in json.loads(done.stdout)}
    assert not by_name["database"]["is_ok"]
    assert not by_name["migrations"]["is_ok"]
    assert "DATABASE_URL" in by_name["database"]["remedy"]


def test_files_that_come_back_changed_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = default_storage.save
    monkeypatch.setattr(
        default_storage,
        "save",
        lambda name, content: real(name, type(content)(b"something else")),
    )
    assert not found("storage").is_ok
    left = list(Path(default_storage.path("doctor")).iterdir())
    assert left == [], "what the check wrote is gone"


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("disk").is_ok
    monkeypatch.setattr(checks, "LEAST_FREE_BYTES", 1 << 62)
    assert not found("disk").is_ok


def test_a_clock_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("clock").is_ok
    late = datetime.now(UTC) - timedelta(minutes=5)
    monkeypatch.setattr(checks, "database_now", lambda: late)
    assert "-300" in found("clock").detail


def test_a_queue_without_a_worker_and_one_of_another_version_are_found() -> None:
    add_worker("checks@a", queues=["checks", "preparations"])
    assert "evaluation" in found("workers").detail
    old = add_worker("evaluation@a", queues=["evaluation"], version="0.0.1")
    assert "evaluation@a" in found("workers").detail
    old.version = platform_version()
    old.save()
    assert found("workers").is_ok


def test_a_queue_that_stands_still_is_found_and_a_long_one_is_not() -> None:
    hour = now() - timedelta(hours=1)
    make_submission(status=Status.QUEUED, queued_at=hour)
    assert not found("queues").is_ok
    make_submission(status=Status.RUNNING, lease_expires_at=now() + timedelta(minutes=1))
    assert found("queues").is_ok


def test_a_worker_whose_sandbox_failed_is_found() -> None:
    add_worker("checks@a", sandbox_check={"is_ok": False, "problem": "not tight"}, ended_at=Now())
    assert "checks@a: not tight" in found("sandbox").detail


def test_published_weights_that_are_not_here_are_found(settings: Settings, tmp_path: Path) -> None:
    settings.WEIGHTS_DIR = tmp_path
    assert found("weights").is_ok
    make_phase(extractors={"vgg": ExtractorPin(VGG, "0" * 64)})
    assert VGG in found("weights").detail


def test_organizers_read_on_their_start_page_that_nobody_works(client: Client) -> None:
    client.force_login(make_organizer(make_competition()))
    page = client.get("/admin/").content.decode()
    assert "no worker online for: checks, evaluation" in page
    add_worker()
    assert "no worker online" not in client.get("/admin/").content.decode()
