"""A worker's result is recorded once, by the attempt that holds the submission."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.timezone import now

from competitions.models import LeaderboardEntry, Pair, ReferenceImage
from evaluation import services
from evaluation.assignment import Picture
from evaluation.models import EvaluationRun, ImageScore, Outcome, Output, Score, Stage
from styletransfer.score_card import ScoreCard
from styletransfer.values import Estimate
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_phase, make_png, make_recipe, make_submission, silence

pytestmark = pytest.mark.django_db
PICTURE = Picture(png=make_png(1), webp=b"small copy")


def make_card(pairs: int, total: float = 2.0) -> ScoreCard:
    return ScoreCard(
        scores={"total": Estimate(total, total - 1, total + 1), "fid_pytorch": Estimate(9.0)},
        per_pair={"total": [total] * pairs},
    )


def start(submission: Submission, stage: Stage = Stage.SCORE) -> EvaluationRun:
    run = services.begin(submission, stage, worker="test")
    assert run is not None
    return run


def record(run: EvaluationRun, total: float = 2.0) -> bool:
    pairs = list(Pair.objects.filter(reference_set=run.submission.phase.reference_set))
    card = make_card(len(pairs), total)
    return services.record_scores(run, card, pairs=pairs, pictures=[PICTURE] * len(pairs))


def stored_outputs() -> set[str]:
    made = (settings.MEDIA_ROOT / folder for folder in ("outputs", "thumbnails"))
    references = ReferenceImage.objects.exclude(thumbnail="").values_list("thumbnail", flat=True)
    kept = {Path(name).name for name in references}
    return {path.name for folder in made for path in folder.rglob("*") if path.is_file()} - kept


def test_scores_pictures_and_the_board_are_written_together() -> None:
    run = start(make_submission(status=Status.QUEUED))
    assert record(run)
    submission = Submission.objects.get()
    assert submission.status == Status.SCORED
    assert submission.lease_expires_at is None
    assert {score.metric for score in Score.objects.filter(run=run)} == {"total", "fid_pytorch"}
    assert ImageScore.objects.filter(run=run).count() == 2
    assert Output.objects.filter(run=run).count() == 2
    assert len(stored_outputs()) == 4
    assert all(output.thumbnail.read() == PICTURE.webp for output in run.outputs.all())
    assert submission.scored_at == submission.finished_at
    entry = LeaderboardEntry.objects.get()
    assert entry.ranking_value == 2.0
    assert entry.scores["total"] == {"value": 2.0, "low": 1.0, "high": 3.0}


def test_a_worker_that_lost_its_submission_leaves_nothing_behind() -> None:
    stale = start(make_submission(status=Status.QUEUED))
    silence(stale.submission)
    assert services.take_from_lost_worker(Submission.objects.get())
    current = start(Submission.objects.get())
    assert not record(stale)
    assert stale.outcome == Outcome.STOPPED
    assert not Score.objects.exists()
    assert stored_outputs() == set()
    assert record(current, total=5.0)
    assert LeaderboardEntry.objects.get().ranking_value == 5.0


def test_a_second_message_for_the_same_submission_does_nothing() -> None:
    submission = make_submission(status=Status.QUEUED)
    start(submission)
    assert services.begin(Submission.objects.get(), Stage.SCORE, worker="other") is None
    assert EvaluationRun.objects.count() == 1


def test_a_cancelled_submission_is_not_scored() -> None:
    run = start(make_submission(status=Status.QUEUED))
    assert Submission.objects.get().move(Status.CANCELLED, finished_at=now())
    assert not record(run)
    assert Submission.objects.get().status == Status.CANCELLED
    assert not LeaderboardEntry.objects.exists()


def test_a_passed_check_queues_and_a_refusal_rejects_without_charge() -> None:
    passed = start(make_submission(), Stage.CHECK)
    assert services.record_check_passed(passed)
    assert passed.submission.status == Status.QUEUED
    refused = start(make_submission(), Stage.CHECK)
    assert services.record_refusal(refused, code="wrong_keys", facts={"missing": ["a"]})
    assert refused.submission.status == Status.REJECTED
    assert refused.submission.failure is not None
    assert "Missing: a." in refused.submission.failure.detail


def test_a_fault_of_ours_waits_a_little_and_is_not_charged() -> None:
    run = start(make_submission(status=Status.QUEUED))
    assert services.record_fault(run, reason="disk full")
    submission = Submission.objects.get()
    assert submission.status == Status.PLATFORM_FAULT
    assert submission.not_before is not None
    assert submission.not_before > now()
    assert submission.started_at is None
    assert "disk full" in EvaluationRun.objects.get().log


def test_faults_end_after_so_many_and_say_so() -> None:
    submission = make_submission(status=Status.QUEUED, faults=settings.EVALUATION_MAX_FAULTS - 1)
    assert services.record_fault(start(submission), reason="again")
    submission.refresh_from_db()
    assert submission.failure_code == "platform_fault_final"
    assert submission.not_before is None


def test_scores_that_can_not_be_stored_take_their_pictures_away() -> None:
    run = start(make_submission(status=Status.QUEUED))
    pairs = list(Pair.objects.filter(reference_set=run.submission.phase.reference_set))
    card = ScoreCard(scores={"total": Estimate(1.0)}, per_pair={"total": [1.0]})  # one too few
    with pytest.raises(ValueError, match="shorter"):
        services.record_scores(run, card, pairs=pairs, pictures=[PICTURE] * len(pairs))
    assert Submission.objects.get().status == Status.RUNNING
    assert stored_outputs() == set()


def test_faults_are_counted_even_when_recording_is_what_fails() -> None:
    submission = make_submission(status=Status.QUEUED, checked_at=now())
    card = ScoreCard(scores={"total": Estimate(1.0)}, per_pair={"total": [1.0]})  # one too few
    for count in range(1, settings.EVALUATION_MAX_FAULTS + 1):
        run = start(submission)
        pairs = list(Pair.objects.filter(reference_set=run.submission.phase.reference_set))
        with pytest.raises(ValueError, match="shorter"):
            services.record_scores(run, card, pairs=pairs, pictures=[PICTURE] * len(pairs))
        assert services.record_fault(run, reason="could not be stored")
        submission = Submission.objects.get()
        assert submission.faults == count
        Submission.objects.update(not_before=None)
        submission.move(Status.QUEUED, failure_code="")
    assert not submission.move(Status.SCORED)


@pytest.mark.parametrize("part", ["png", "webp"])
def test_a_picture_that_can_not_be_stored_takes_the_others_away(part: str) -> None:
    run = start(make_submission(status=Status.QUEUED))
    pairs = list(Pair.objects.filter(reference_set=run.submission.phase.reference_set))
    limit = 2**23  # no file may grow beyond it, as if the disk were full then
    huge = replace(PICTURE, **{part: bytes(limit + 1)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            services.record_scores(run, make_card(2), pairs=pairs, pictures=[PICTURE, huge])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert stored_outputs() == set()
    assert services.record_fault(run, reason="disk full")


def test_what_closed_a_run_first_stays() -> None:
    run = start(make_submission(status=Status.QUEUED))
    twin = EvaluationRun.objects.select_related("submission").get()
    assert record(run)
    assert not services.record_fault(twin, reason="the answer to the commit was lost")
    assert EvaluationRun.objects.get().outcome == Outcome.PASSED
    assert EvaluationRun.objects.get().card is not None


@pytest.mark.parametrize(
    ("status", "stage"), [(Status.CHECKING, Stage.CHECK), (Status.QUEUED, Stage.SCORE)]
)
def test_a_worker_that_is_to_end_gives_its_submission_back_without_a_fault(
    status: Status, stage: Stage
) -> None:
    run = start(make_submission(status=status), stage)
    services.hand_back(run)
    submission = Submission.objects.get()
    assert (submission.status, submission.faults) == (status, 0)
    assert submission.lease_expires_at is None
    assert start(submission, stage).attempt > run.attempt


def test_what_was_measured_of_the_run_is_stored_and_shown_where_the_recipe_asks_for_it() -> None:
    phase = make_phase(recipe=make_recipe(metrics=["total", "ms_per_image"]))
    run = start(make_submission(phase=phase, status=Status.QUEUED))
    pairs = list(Pair.objects.filter(reference_set=phase.reference_set))
    card = ScoreCard({"total": Estimate(2.0)}, {}).with_measurements(
        {"ms_per_image": 12.5, "parameters": 7}
    )
    assert services.record_scores(run, card, pairs=pairs, pictures=[PICTURE] * len(pairs))
    stored = {score.metric: (score.value, score.low) for score in Score.objects.all()}
    assert stored == {"total": (2.0, None), "ms_per_image": (12.5, None)}
    entry = LeaderboardEntry.objects.get()
    assert entry.scores["ms_per_image"] == {"value": 12.5, "low": None, "high": None}
    assert entry.ranking_value == 2.0
    run.refresh_from_db()
    assert run.card is not None
    assert run.card["measurements"] == {"ms_per_image": 12.5, "parameters": 7}
    assert run.card["scores"].keys() == {"total"}
