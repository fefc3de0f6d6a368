"""What the operator sees of workers, and organizers don't."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from evaluation.admin.worker import WALLS
from evaluation.models import Worker
from evaluation.sandbox import walls
from tests.factories import make_user
from tests.organizing.scene import make_scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaky() -> Worker:
    found = [
        {"wall": "network", "tried": "connect", "happened": "it worked", "stood": False},
        {"wall": "network", "tried": "send", "happened": "refused", "stood": True},
        {"wall": "files", "tried": "read", "happened": "refused", "stood": True},
    ]
    problem = "The sandbox is not tight: network (connect: it worked)."
    return Worker.objects.create(
        name="checks@here",
        version="1",
        device="cpu",
        threads=1,
        started_at=now(),
        seen_at=now(),
        sandbox_check={"is_ok": False, "problem": problem, "findings": found},
    )


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def test_the_operator_sees_which_wall_a_worker_misses(operator: Client, leaky: Worker) -> None:
    page = operator.get(reverse("admin:evaluation_worker_change", args=[leaky.pk]))
    text = page.content.decode()
    assert "<li>MISSING: network</li><li>ok: files of this machine</li>" in text
    assert "connect: it worked" in text
    listed = operator.get(reverse("admin:evaluation_worker_changelist")).content.decode()
    assert "checks@here" in listed
    start = operator.get(reverse("admin:index")).content.decode()
    assert "No sandbox" in start
    assert "connect: it worked" in start


def test_organizers_see_no_workers(leaky: Worker) -> None:
    client = make_scene("alfa").client
    assert leaky.name not in client.get(reverse("admin:index")).content.decode()
    page = reverse("admin:evaluation_worker_change", args=[leaky.pk])
    assert client.get(page).status_code in {302, 403, 404}


def test_every_wall_has_a_name_to_be_shown() -> None:
    assert set(WALLS) == {*walls.WALLS, walls.RUNS}
