"""Which workers there are: the database knows, by its own clock."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Q
from django.db.models.functions import Now
from pytest_django import Settings

from evaluation import worker
from evaluation.models import Worker
from evaluation.presence import Presence
from evaluation.sandbox import Finding, LeakySandbox
from tests.services import fresh_database

ROOT = Path(__file__).resolve().parents[2]
TIGHT = {"is_ok": True}


def make_worker(name: str, *, seen_ago: timedelta, ended: bool = False) -> Worker:
    return Worker.objects.create(
        name=name,
        version="1",
        device="cpu",
        threads=1,
        queues=["evaluation"],
        started_at=Now(),
        seen_at=Now() - seen_ago,
        ended_at=Now() if ended else None,
    )


def online() -> list[str]:
    return list(Worker.objects.online().values_list("name", flat=True))


@pytest.mark.django_db
def test_online_is_who_was_seen_lately_and_has_not_ended(settings: Settings) -> None:
    make_worker("here", seen_ago=timedelta())
    make_worker("silent", seen_ago=settings.WORKER_SILENCE + timedelta(seconds=2))
    make_worker("ended", seen_ago=timedelta(), ended=True)
    assert online() == ["here"]
    present = Worker.objects.with_presence().filter(Q(is_online=True))
    assert [row.name for row in present] == ["here"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lives_is_seen_again_and_again(settings: Settings) -> None:
    settings.WORKER_BEAT = timedelta(seconds=0.05)
    presence = Presence("evaluation@here", queues=["evaluation", "checks"])
    presence.begin(sandbox_check=TIGHT)
    row = Worker.objects.get()
    assert (row.queues, row.sandbox_check) == (["checks", "evaluation"], TIGHT)
    wait_until_seen_after(row)
    presence.end()
    assert online() == []
    row.refresh_from_db()
    assert row.ended_at is not None


def wait_until_seen_after(row: Worker) -> None:
    end = time.monotonic() + 10
    while not Worker.objects.filter(pk=row.pk, seen_at__gt=row.seen_at).exists():
        assert time.monotonic() < end, "no beat in ten seconds"
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_was_removed_comes_back(settings: Settings) -> None:
    settings.WORKER_BEAT = timedelta(seconds=0.05)
    presence = Presence("evaluation@here", queues=["evaluation"])
    presence.begin(sandbox_check=TIGHT)
    Worker.objects.all().delete()
    end = time.monotonic() + 10
    while not Worker.objects.exists() and time.monotonic() < end:
        time.sleep(0.02)
    presence.end()
    assert Worker.objects.get().sandbox_check == TIGHT


@pytest.mark.django_db
def test_a_worker_without_a_sandbox_says_why_and_is_not_online(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leaks() -> None:
        raise LeakySandbox([Finding("network", "connect", "it worked", False)])

    monkeypatch.setattr(worker, "self_test", leaks)
    worker._note_who_this_is(sender="checks@here", options={"queues": ["checks"]})
    with pytest.raises(SystemExit):
        worker._refuse_to_start_unsafely()
    row = Worker.objects.get()
    expected = "The sandbox is not tight: network (connect: it worked)."
    assert row.sandbox_check["problem"] == expected
    assert [found["wall"] for found in row.sandbox_check["findings"]] == ["network"]
    assert online() == []


def test_presence_goes_by_the_clock_of_postgresql_too(postgres_url: str, tmp_path: Path) -> None:
    """Ran in a process of its own: its machine's clock is an hour off."""
    code = """
import django
django.setup()
from datetime import timedelta
from unittest import mock
from django.core.management import call_command
from django.utils import timezone
from evaluation.models import Worker
from evaluation.presence import Presence
call_command("migrate", verbosity=0)
real = timezone.now()
with mock.patch("django.utils.timezone.now", lambda: real - timedelta(hours=1)):
    presence = Presence("evaluation@late", queues=["evaluation"])
    presence.begin(sandbox_check={"is_ok": True})
    assert Worker.objects.online().count() == 1
    assert [row.is_online for row in Worker.objects.with_presence()] == [True]
    assert abs(Worker.objects.get().seen_at - real) < timedelta(minutes=5)
    presence.end()
    assert Worker.objects.online().count() == 0
"""
    environment = os.environ | {
        "DATABASE_URL": fresh_database(postgres_url),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "ARENA_VAR": str(tmp_path),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
