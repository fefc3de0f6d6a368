"""What a phase chooses as its workers decides the queue, wherever queues are looked at."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils.timezone import now
from pytest_django import DjangoAssertNumQueries

from competitions import messages
from competitions.models import OutgoingMail, Phase
from competitions.queues import CHECKS, Workers, competition_of, key_prefix
from evaluation import sweeper
from evaluation.models import Worker
from evaluation.queues import find_queues, waits_in_vain
from submissions import dispatch
from submissions.states import Status
from submissions.waiting import place_of
from tests.factories import make_phase, make_submission

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=3)


@pytest.fixture(name="sent")
def catch_messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    sent: list[tuple[str, str]] = []

    def send(task: str, *, queue: str, row: object) -> bool:
        sent.append((queue, str(row)))
        return True

    monkeypatch.setattr(messages, "send", send)
    return sent


def phases() -> list[Phase]:
    """Return one phase for each choice, all of one competition."""
    first = make_phase()
    others = [
        make_phase(competition=first.competition, name=str(workers), workers=workers)
        for workers in (Workers.GPU, Workers.PRIVATE)
    ]
    return [first, *others]


def test_each_phase_is_scored_by_the_queue_that_it_names(sent: list[tuple[str, str]]) -> None:
    made = phases()
    private = f"private-{made[0].competition_id}"
    names = ["evaluation", "gpu", private]
    assert [phase.queue for phase in made] == names
    assert competition_of(private) == made[0].competition_id
    assert competition_of("gpu") is None
    rows = [make_submission(phase=phase, status=Status.QUEUED) for phase in made]
    unchecked = make_submission(phase=made[1], status=Status.CHECKING)
    sweeper.sweep()
    expected = [(queue, str(row.pk)) for queue, row in zip(names, rows, strict=True)]
    assert sorted(sent) == sorted([*expected, (CHECKS, str(unchecked.pk))])
    assert [list(dispatch.waiting_in(name)) for name in names] == [[row] for row in rows]
    assert [place.position for row in rows if (place := place_of(row))] == [1, 1, 1]


def test_a_queue_is_looked_at_as_soon_as_a_phase_names_it() -> None:
    make_phase()
    assert [queue.name for queue in find_queues()] == ["checks", "evaluation", "preparations"]
    made = make_phase(workers=Workers.PRIVATE)
    make_submission(phase=made, status=Status.QUEUED, queued_at=now() - LONG_AGO)
    found = {queue.name: queue for queue in find_queues()}
    assert (found[made.queue].waiting, found[made.queue].workers) == (1, 0)
    assert found[made.queue].age >= LONG_AGO
    assert found["evaluation"].waiting == 0


def test_looking_at_queues_takes_as_many_queries_for_many_as_for_one(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(4):
        phase = make_phase(workers=Workers.PRIVATE)
        make_submission(phase=phase, status=Status.QUEUED)
    with django_assert_max_num_queries(8):
        find_queues()


def test_who_waits_for_a_private_worker_is_told_that_none_is_there() -> None:
    phase = make_phase(workers=Workers.PRIVATE)
    phase.competition.organizers.create(username="olga", email="olga@example.org", is_staff=True)
    waiting = make_submission(phase=phase, status=Status.QUEUED, status_changed_at=now() - LONG_AGO)
    worker = Worker.objects.create(
        name="w",
        version="1",
        device="cpu",
        threads=1,
        queues=["evaluation"],
        started_at=Now(),
        seen_at=Now(),
    )
    assert waits_in_vain(waiting)
    sweeper.sweep()
    assert [mail.address for mail in OutgoingMail.objects.all()] == ["olga@example.org"]
    worker.queues = [phase.queue]
    worker.save()
    assert not waits_in_vain(waiting)


def test_only_queues_that_one_worker_may_take_share_their_keys() -> None:
    assert key_prefix("checks") == key_prefix("preparations")
    others = {key_prefix(queue) for queue in ("evaluation", "gpu", "private-1", "private-12")}
    assert len(others) == 4
    assert not any(a != b and a.startswith(b) for a in others for b in others)
