"""A large run is divided among workers; whatever happens to one of them, it is scored once."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from competitions.models import LeaderboardEntry
from evaluation import local_desk, services, shards
from evaluation.assignment import Notes, Picture
from evaluation.local_desk import ShardDesk, claim
from evaluation.models import EvaluationRun, ImageScore, Outcome, Output, Shard, ShardState, Stage
from evaluation.sweeper import sweep
from styletransfer.errors import InvalidShard
from styletransfer.making import Making
from styletransfer.score_card import ScoreCard
from styletransfer.shard import ShardResult
from styletransfer.values import Estimate
from submissions import dispatch
from submissions.models import Submission
from submissions.services import cancel
from submissions.states import Status
from tests.factories import make_phase, make_png, make_reference_set, make_submission

pytestmark = pytest.mark.django_db
PAIRS, SIZE, PARTS = 7, 3, 3  # of 3, 3 and 1 pairs
PICTURE = Picture(png=make_png(1), webp=b"small copy")


@pytest.fixture(autouse=True)
def _small_shards(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EVALUATION_SHARD_PAIRS = SIZE
    # The test's own transaction needs its connection.
    monkeypatch.setattr(local_desk, "close_old_connections", lambda: None)


@pytest.fixture(name="sent")
def _count_messages(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    sent: list[UUID] = []

    def send(submission_id: UUID, _status: Status) -> bool:
        sent.append(submission_id)
        return True

    monkeypatch.setattr(dispatch, "send", send)
    return sent


def queue(**fields: Any) -> Submission:
    phase = make_phase(reference_set=make_reference_set(pairs=PAIRS), **fields)
    return make_submission(status=Status.QUEUED, phase=phase)


def take(submission: Submission, worker: str = "w") -> ShardDesk | None:
    desk = claim(submission.pk, Stage.SCORE, worker=worker)
    assert desk is None or isinstance(desk, ShardDesk)
    return desk


def must_take(submission: Submission, worker: str = "w") -> ShardDesk:
    desk = take(submission, worker)
    assert desk is not None
    return desk


def measured(pairs: range, seconds: float = 1.0) -> bytes:
    values = {key: np.array(pairs, np.float64) for key in ("content", "style")}
    rows = np.zeros((len(pairs), 2048), np.float32)
    making = Making([seconds] * len(pairs), 1, 2)
    likeness = np.zeros((len(pairs), 2))
    return ShardResult(pairs, values, {"pytorch": rows}, likeness, making=making).to_bytes()


def report(desk: ShardDesk, seconds: float = 1.0) -> bool:
    """Hand in a shard, or the card of all."""
    wanted = desk.assignment
    notes = Notes(steps={"generating": 1.0}, versions={"torch": "2"}, log=f"from {wanted.first}")
    if wanted.puts_together:
        card = ScoreCard(
            scores={"total": Estimate(2.0), "fid_pytorch": Estimate(9.0)},
            per_pair={"total": [2.0] * PAIRS},
        )
        return desk.report_scores(notes, card, ())
    pairs = range(wanted.first, wanted.first + wanted.count)
    return desk.report_shard(notes, measured(pairs, seconds), [PICTURE] * len(pairs))


def rows(submission: Submission) -> list[Shard]:
    return list(Shard.objects.filter(run__submission=submission).order_by("first"))


def silence(desk: ShardDesk) -> None:
    """Let a shard's lease run out, as that of a worker that is heard of no more."""
    assert desk.assignment.shard is not None
    held = Shard.objects.filter(pk=desk.assignment.shard, state=ShardState.HELD)
    assert held.update(lease_expires_at=Now() - timedelta(seconds=1)) == 1


def stored(folder: str) -> list[Path]:
    return [path for path in (settings.MEDIA_ROOT / folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("pairs", "size", "parts"),
    [
        (7, 3, [3, 3, 1]),
        (6, 3, [3, 3]),
        (3, 3, [3]),
        (1, 256, [1]),
        (256, 256, [256]),
        (257, 256, [192, 65]),
        (300, 100, [64, 64, 64, 64, 44]),
        (10_000, 256, [256] * 39 + [16]),
    ],
)
def test_pairs_are_divided_where_a_batch_would_begin(
    pairs: int, size: int, parts: list[int]
) -> None:
    found = shards.plan(pairs, size)
    assert [len(part) for part in found] == parts
    assert [number for part in found for number in part] == list(range(pairs))
    assert size < shards.GRAIN or all(part.start % shards.GRAIN == 0 for part in found)


def test_a_small_phase_is_no_more_than_one_workers_run(settings: Any) -> None:
    settings.EVALUATION_SHARD_PAIRS = PAIRS
    desk = claim(queue().pk, Stage.SCORE, worker="w")
    assert desk is not None
    assert desk.assignment.shard is None
    assert (desk.assignment.first, desk.assignment.count) == (0, PAIRS)
    assert not Shard.objects.exists()


def test_workers_share_a_run_and_the_last_puts_it_together(
    sent: list[UUID], django_capture_on_commit_callbacks: Any
) -> None:
    submission = queue()
    with django_capture_on_commit_callbacks(execute=True):
        desks = [must_take(submission, "first")]
    assert sent == [submission.pk] * (PARTS - 1)
    desks += [must_take(submission, "second"), must_take(submission, "third")]
    assert [desk.assignment.first for desk in desks] == [0, 3, 6]
    assert take(submission, "fourth") is None
    assert desks[1].renew({"step": "generating", "progress_done": 2, "progress_of": 3})
    submission.refresh_from_db()
    assert (submission.step, submission.progress_done, submission.progress_of) == (
        "generating",
        2,
        PAIRS,
    )
    assert report(desks[2])
    assert report(desks[0])
    submission.refresh_from_db()
    assert submission.progress_done == 3 + 2 + 1
    assert take(submission) is None  # nothing to put together yet
    assert report(desks[1])
    assert EvaluationRun.objects.get().outcome == Outcome.RUNNING
    last = must_take(submission, "first")
    assert last.assignment.puts_together
    assert len(last.load_results()) == PARTS
    assert take(submission) is None
    assert report(last)
    run = EvaluationRun.objects.get()
    submission.refresh_from_db()
    assert (submission.status, run.outcome) == (Status.SCORED, Outcome.PASSED)
    assert run.steps == {"generating": PARTS + 1.0}
    assert "from 0" in run.log
    assert "from 6" in run.log
    assert Output.objects.filter(run=run).count() == PAIRS
    assert ImageScore.objects.filter(run=run, metric="total").count() == PAIRS
    assert LeaderboardEntry.objects.filter(submission_id=submission.pk).exists()
    sweep()
    assert stored("shards") == []
    assert len(stored("outputs")) == PAIRS
    assert not report(last)  # the same words again change nothing
    assert take(submission) is None


def test_only_the_lost_shard_is_made_again_and_its_old_worker_is_not_believed() -> None:
    submission = queue()
    first, second = must_take(submission, "a"), must_take(submission, "b")
    assert report(first)
    silence(second)
    assert not second.renew({"step": "generating", "progress_done": 1, "progress_of": 3})
    assert sweep().lost == 1
    states = [(row.state, row.faults, row.attempt) for row in rows(submission)]
    assert states == [("done", 0, 1), ("waiting", 1, 2), ("waiting", 0, 0), ("waiting", 0, 0)]
    again = must_take(submission, "c")
    assert again.assignment.first == second.assignment.first
    assert not report(second)
    second.report_stopped(Notes())
    assert not second.report_fault(Notes(), reason="?")
    assert not second.report_refusal(Notes(), code="generator_crashed", facts={})
    second.hand_back(Notes())
    assert EvaluationRun.objects.get().outcome == Outcome.RUNNING
    assert report(again)
    assert len(stored("outputs")) == 6  # the refused ones were removed
    submission.refresh_from_db()
    assert (submission.status, submission.attempt, submission.faults) == (Status.RUNNING, 1, 0)


def test_a_worker_that_is_asked_to_end_leaves_its_shard_to_another(sent: list[UUID]) -> None:
    submission = queue()
    desk = must_take(submission)
    sent.clear()
    desk.hand_back(Notes())
    assert sent == [submission.pk]
    assert rows(submission)[0].faults == 0
    assert must_take(submission).assignment.first == 0


def test_a_fault_is_tried_again_after_a_pause_and_in_the_end_an_organizer_s(settings: Any) -> None:
    settings.EVALUATION_MAX_FAULTS = 2
    submission = queue()
    desk = must_take(submission)
    assert desk.report_fault(Notes(), reason="no disk")
    assert rows(submission)[0].not_before is not None
    assert must_take(submission).assignment.first == 3
    Shard.objects.filter(first=0).update(not_before=Now())
    again = must_take(submission)
    assert again.assignment.first == 0
    assert again.report_fault(Notes(), reason="no disk")
    submission.refresh_from_db()
    run = EvaluationRun.objects.get()
    assert submission.status == Status.PLATFORM_FAULT
    assert submission.failure_code == "platform_fault_final"
    assert (run.outcome, "no disk" in run.log) == (Outcome.FAULT, True)
    assert take(submission) is None


def test_a_refusal_of_one_shard_ends_the_whole_submission() -> None:
    submission = queue()
    first, second = must_take(submission, "a"), must_take(submission, "b")
    assert report(first)
    assert second.report_refusal(Notes(log="boom"), code="generator_crashed", facts={})
    submission.refresh_from_db()
    assert (submission.status, submission.failure_code) == (Status.FAILED, "generator_crashed")
    run = EvaluationRun.objects.get()
    assert (run.outcome, "boom" in run.log) == (Outcome.REFUSED, True)
    assert take(submission) is None
    sweep()
    assert stored("shards") == stored("outputs") == []
    assert not Output.objects.exists()


def test_the_time_of_all_shards_counts_against_the_phase_s_limit() -> None:
    submission = queue(time_limit_s=10)
    first = must_take(submission, "a")
    assert first.assignment.time_limit_s == 10
    assert report(first, seconds=2)
    second, third = must_take(submission, "b"), must_take(submission, "c")
    assert second.assignment.time_limit_s == third.assignment.time_limit_s == 4
    assert report(third, seconds=3)
    assert report(second, seconds=1)  # 6 + 3 + 3 seconds
    submission.refresh_from_db()
    assert (submission.status, submission.failure_code) == (Status.FAILED, "too_slow")
    assert submission.failure_facts == {"limit_s": 10.0, "done": PAIRS}


def test_too_slow_is_told_of_the_phase_s_limit_and_all_pictures() -> None:
    submission = queue(time_limit_s=10)
    assert report(must_take(submission), seconds=2)
    slow = must_take(submission)
    assert slow.report_refusal(Notes(), code="too_slow", facts={"limit_s": 4.0, "done": 2})
    submission.refresh_from_db()
    assert submission.failure_facts == {"limit_s": 10.0, "done": 5}


def test_cancelling_stops_every_worker() -> None:
    submission = queue()
    first, second = must_take(submission, "a"), must_take(submission, "b")
    assert report(first)
    cancel(submission, by=submission.team.participants.get().user)
    assert not second.renew({"step": "generating", "progress_done": 1, "progress_of": 3})
    assert not report(second)
    second.report_stopped(Notes())
    assert EvaluationRun.objects.get().outcome == Outcome.STOPPED
    assert take(submission) is None
    sweep()
    assert stored("outputs") == stored("shards") == []


def test_a_divided_run_whose_workers_are_away_waits_and_is_told_of_again(
    sent: list[UUID], settings: Any
) -> None:
    submission = queue()
    silence(must_take(submission))
    sent.clear()
    assert sweep().lost == 1
    assert sent == [submission.pk]  # the others had a message just now
    settings.RESEND_AFTER = timedelta(0)
    sent.clear()
    assert sweep().resent == PARTS
    submission.refresh_from_db()
    assert (submission.status, submission.attempt) == (Status.RUNNING, 1)
    # Not for ever.
    Submission.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
    assert sweep().lost == 1
    submission.refresh_from_db()
    assert submission.status == Status.QUEUED
    assert EvaluationRun.objects.get().outcome == Outcome.LOST
    assert must_take(submission).assignment.run != EvaluationRun.objects.earliest("pk").pk


def test_a_result_that_is_none_is_refused_and_leaves_nothing() -> None:
    submission = queue()
    desk = must_take(submission)
    for data in (b"", measured(range(1, 4)), measured(range(2))):
        with pytest.raises(InvalidShard):
            desk.report_shard(Notes(), data, [PICTURE] * 3)
    assert stored("shards") == stored("outputs") == []
    assert report(desk)


def test_the_database_holds_what_a_shard_may_be() -> None:
    submission = queue()
    run = services.begin(submission, Stage.SCORE, worker="w")
    assert run is not None
    for fields in (
        {"state": "lost"},
        {"state": ShardState.HELD},
        {"state": ShardState.DONE},
        {"lease_expires_at": Now()},
        {"finished_at": Now()},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Shard.objects.create(run=run, first=0, count=1, **fields)
    Shard.objects.create(run=run, first=0, count=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Shard.objects.create(run=run, first=0, count=2)
