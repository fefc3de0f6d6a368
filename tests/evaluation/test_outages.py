"""When nobody takes what waits, participants read it and organizers are told, once."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import MailKind, OutgoingMail
from evaluation import services, sweeper
from evaluation.models import Stage, Worker, WorkerOutage
from evaluation.outages import watch_workers
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_submission, make_team, make_user
from tests.organizing.scene import make_organizer

LONG_AGO = timedelta(minutes=3)
SENTENCE = "No worker is online at the moment"


@pytest.fixture(autouse=True)
def _no_messages() -> Iterator[None]:
    yield
    for old in (Path(site.BROKER_DIR) / "queue").iterdir():
        old.unlink()


def make_waiting(**fields: Any) -> Submission:
    return make_submission(
        **({"status": Status.QUEUED, "status_changed_at": now() - LONG_AGO} | fields)
    )


def add_worker(*, seen_ago: timedelta = timedelta(), **fields: Any) -> Worker:
    defaults = {"version": "1", "device": "cpu", "threads": 1, "queues": ["evaluation"]}
    times = {"started_at": Now(), "seen_at": Now() - seen_ago}
    return Worker.objects.create(**({"name": "w"} | defaults | times | fields))


def mails() -> list[OutgoingMail]:
    return list(OutgoingMail.objects.filter(kind=MailKind.OPERATIONS).order_by("address"))


@pytest.mark.django_db
def test_organizers_and_administrators_are_told_once_until_it_is_over() -> None:
    submission = make_waiting()
    organizer = make_organizer(submission.phase.competition, email="a@example.org")
    make_organizer(email="other@example.org")
    make_user(is_superuser=True, is_staff=True, email="b@example.org")
    make_organizer(submission.phase.competition, email="no@example.org", mail_operations=False)
    for _ in range(3):
        sweeper.sweep()
    assert [mail.address for mail in mails()] == [organizer.email, "b@example.org"]
    assert "evaluation" in mails()[0].text
    assert reverse("admin:index") in mails()[0].text
    worker = add_worker()
    sweeper.sweep()
    assert WorkerOutage.objects.get().ended_at is not None
    worker.delete()
    sweeper.sweep()
    assert len(mails()) == 4, "another outage is told anew"


@pytest.mark.django_db
def test_a_restart_of_a_worker_is_no_outage() -> None:
    make_waiting()
    add_worker(seen_ago=timedelta(seconds=60), ended_at=Now())
    make_user(is_superuser=True)
    watch_workers()
    assert not WorkerOutage.objects.exists()


@pytest.mark.django_db
def test_a_worker_that_starts_again_and_again_without_a_sandbox_is_no_help() -> None:
    make_waiting()
    add_worker(sandbox_check={"is_ok": False, "problem": "leaks"}, ended_at=Now())
    watch_workers()
    assert WorkerOutage.objects.get().queue == "evaluation"


@pytest.mark.django_db
def test_nothing_that_waits_is_no_outage() -> None:
    make_waiting(status_changed_at=now())  # not long enough
    held = make_waiting()
    assert services.begin(held, Stage.SCORE, worker="w")
    watch_workers()
    assert not WorkerOutage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_tell_it_once() -> None:
    make_waiting()
    make_user(is_superuser=True, email="a@example.org")
    start = threading.Barrier(4)

    def watch() -> None:
        start.wait()
        try:
            watch_workers()
        finally:
            connection.close()

    threads = [threading.Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mails()) == 1


@pytest.mark.django_db
def test_the_team_reads_on_its_submission_that_no_worker_is_online(client: Client) -> None:
    waiting = make_waiting()
    user = make_user()
    team = make_team(user, phase=waiting.phase)
    Submission.objects.update(team=team)
    client.force_login(user)
    address = reverse("submission", args=[waiting.pk])
    told = reverse("api-submission", args=[waiting.pk])
    assert client.get(told).json()["no_worker_online"] is True
    assert SENTENCE in client.get(address).content.decode()
    assert SENTENCE in client.get(reverse("submission-live", args=[waiting.pk])).content.decode()
    add_worker()
    assert SENTENCE not in client.get(address).content.decode()
    assert client.get(told).json()["no_worker_online"] is False
    Worker.objects.all().delete()
    Submission.objects.update(status_changed_at=now())
    assert SENTENCE not in client.get(address).content.decode()


@pytest.mark.django_db
def test_the_mail_is_in_the_readers_language() -> None:
    make_waiting()
    make_user(is_superuser=True, language="zh-hans")
    watch_workers()
    assert "工作进程" in mails()[0].subject


# --- The page of workers -----------------------------------------------------------------------
@pytest.mark.django_db
def test_the_page_of_workers_says_what_each_is_doing(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    submission = make_waiting()
    add_worker(name="evaluation@a")
    assert services.begin(submission, Stage.SCORE, worker="evaluation@a")
    for number in range(8):
        add_worker(name=f"idle-{number}", queues=["checks"])
    client.force_login(make_user(is_staff=True, is_superuser=True))
    with django_assert_max_num_queries(10):
        page = client.get(reverse("admin:evaluation_worker_changelist")).content.decode()
    address = reverse("admin:submissions_submission_change", args=[submission.pk])
    assert page.count(address) == 1
    assert "checks" in page
