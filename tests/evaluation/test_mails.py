"""A team is told how its submission ended: all of it, once, and never at the price of the end."""

from typing import Any

import pytest
from django.conf import settings
from django.utils.timezone import now

from competitions.models import LeaderboardEntry, OutgoingMail, Pair
from evaluation import mails, services
from evaluation.assignment import Picture
from evaluation.models import EvaluationRun, Stage
from styletransfer.score_card import ScoreCard
from styletransfer.values import Estimate
from submissions.models import Submission
from submissions.states import Status
from tests.factories import (
    make_phase,
    make_png,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
    silence,
)

pytestmark = pytest.mark.django_db


class Scene:
    """A team of two in a phase with one rival on the board."""

    def __init__(self, **phase: Any) -> None:
        self.phase = make_phase(**phase)
        self.alice, self.bob = make_user(), make_user()
        self.team = make_team(self.alice, self.bob, phase=self.phase)
        rival = make_team(make_user(), phase=self.phase)
        make_scored_submission(phase=self.phase, team=rival, value=2.0)
        OutgoingMail.objects.all().delete()

    def start(self, stage: Stage = Stage.SCORE, **fields: Any) -> EvaluationRun:
        status = Status.CHECKING if stage == Stage.CHECK else Status.QUEUED
        submission = make_submission(
            **{"phase": self.phase, "team": self.team, "status": status} | fields
        )
        return start(submission, stage)

    def score(self, total: float, **fields: Any) -> OutgoingMail:
        """Score another submission and return what Alice reads."""
        OutgoingMail.objects.all().delete()
        assert record(self.start(**fields), total)
        return OutgoingMail.objects.get(user=self.alice)


def start(submission: Submission, stage: Stage) -> EvaluationRun:
    run = services.begin(submission, stage, worker="test")
    assert run is not None
    return run


def record(run: EvaluationRun, total: float) -> bool:
    pairs = list(Pair.objects.filter(reference_set=run.submission.phase.reference_set))
    card = ScoreCard(
        scores={"total": Estimate(total, total, total), "content": Estimate(0.125)},
        per_pair={"total": [total] * len(pairs)},
    )
    picture = Picture(png=make_png(1), webp=b"small")
    return services.record_scores(run, card, pairs=pairs, pictures=[picture] * len(pairs))


def test_the_whole_team_reads_score_and_rank() -> None:
    scene = Scene()
    mail = scene.score(3.25, file_name="first.onnx")
    readers = OutgoingMail.objects.values_list("address", flat=True)
    assert set(readers) == {scene.alice.email, scene.bob.email}
    assert mail.subject == (
        f"Scored: Total loss 3.250, your team is at rank 2 · {scene.phase.competition}"
    )
    submission = Submission.objects.get(file_name="first.onnx")
    for words in (
        "first.onnx",
        scene.phase.name,
        "Total loss: 3.250 (lower is better)",
        "your team's first in this phase",
        "rank 2 of 2",
        f"http://127.0.0.1:8000/submissions/{submission.pk}/",
    ):
        assert words in mail.text


def test_the_next_ones_are_compared_with_the_teams_best() -> None:
    scene = Scene()
    scene.score(3.25)
    better = scene.score(1.5)
    assert "new best, better by 1.750 than 3.250 before" in better.text
    assert "rank 1 of 2" in better.text
    worse = scene.score(1.75)
    assert "best stays 1.500; this one is behind it by 0.2500" in worse.text
    assert "rank 1 of 2" in worse.text
    assert "exactly your team's best" in scene.score(1.5).text


def test_a_phase_that_ranks_by_another_metric_tells_that_one_and_the_total() -> None:
    mail = Scene(ranking_metric="content").score(3.25)
    assert "Content loss: 0.1250 (lower is better)\nTotal loss: 3.250" in mail.text


def test_a_score_that_cannot_be_ranked_says_so() -> None:
    mail = Scene(ranking_metric="fid_pytorch").score(3.25)
    assert "without a rank" in mail.subject
    assert "It has no rank" in mail.text


def test_a_rejected_and_a_failed_submission_come_with_the_reason() -> None:
    scene = Scene()
    for stage, word in ((Stage.CHECK, "rejected"), (Stage.SCORE, "failed")):
        OutgoingMail.objects.all().delete()
        run = scene.start(stage)
        assert services.record_refusal(run, code="too_slow", facts={"limit_s": 300})
        mail = OutgoingMail.objects.get(user=scene.alice)
        assert word in mail.subject
        assert "did not finish within 300 seconds" in mail.text
        assert f"/submissions/{run.submission_id}/" in mail.text


def test_a_platform_fault_is_told_when_it_is_final_and_not_before() -> None:
    run = Scene().start()
    for fault in range(settings.EVALUATION_MAX_FAULTS):
        assert not OutgoingMail.objects.exists(), f"told after {fault} faults"
        assert services.record_fault(run, reason="no disk")
        Submission.objects.filter(pk=run.submission_id).exclude(
            failure_code="platform_fault_final"
        ).update(status=Status.QUEUED, failure_code="", not_before=None)
        if Submission.objects.filter(pk=run.submission_id, status=Status.QUEUED).exists():
            run = start(Submission.objects.get(pk=run.submission_id), Stage.SCORE)
    assert OutgoingMail.objects.count() == 2
    mail = OutgoingMail.objects.all()[0]
    assert "through our fault" in mail.subject
    assert "not your fault and costs you nothing" in mail.text


def test_who_wants_no_such_mails_gets_none() -> None:
    scene = Scene()
    scene.bob.mail_submissions = False
    scene.bob.save()
    scene.score(1.0)
    assert OutgoingMail.objects.get().user == scene.alice


def test_a_baseline_without_an_address_is_not_written_to() -> None:
    scene = Scene()
    baseline = make_team(make_user(email=""), phase=scene.phase, is_baseline=True)
    assert record(scene.start(team=baseline), 1.0)
    assert not OutgoingMail.objects.exists()


def test_a_submission_that_is_scored_again_is_not_told_again() -> None:
    scene = Scene()
    scene.score(1.5, file_name="again.onnx")
    OutgoingMail.objects.all().delete()
    submission = Submission.objects.get(file_name="again.onnx")
    Submission.objects.filter(pk=submission.pk).update(status=Status.QUEUED, finished_at=None)
    assert record(start(Submission.objects.get(pk=submission.pk), Stage.SCORE), 1.25)
    assert LeaderboardEntry.objects.get(team=scene.team).ranking_value == 1.25
    assert not OutgoingMail.objects.exists()


def test_scores_that_are_not_recorded_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    run = scene.start()

    tell = mails.tell_scored

    def tell_and_fail(submission: Submission, **facts: Any) -> None:
        tell(submission, **facts)
        assert OutgoingMail.objects.count() == 2, "the mails are written in the same transaction"
        raise RuntimeError("the database went away")

    monkeypatch.setattr(mails, "tell_scored", tell_and_fail)
    with pytest.raises(RuntimeError):
        record(run, 1.0)
    assert not OutgoingMail.objects.exists()


def test_an_attempt_that_lost_the_submission_tells_nothing() -> None:
    scene = Scene()
    stale = scene.start()
    silence(stale.submission)
    assert services.take_from_lost_worker(Submission.objects.get(pk=stale.submission_id))
    assert not record(stale, 1.0)
    assert not services.record_refusal(stale, code="too_slow", facts={})
    assert not OutgoingMail.objects.exists()


def test_a_mail_that_cannot_be_written_costs_nobody_their_scores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene()

    def fail(*_args: Any, **_kwargs: Any) -> int:
        OutgoingMail.objects.create(address="half@example.org")  # breaks a constraint
        return 0

    monkeypatch.setattr(mails, "notify", fail)
    run = scene.start()
    assert record(run, 1.0)
    assert LeaderboardEntry.objects.filter(team=scene.team).exists()
    assert not OutgoingMail.objects.exists()
    assert "could not write the mails" in caplog.text


def test_the_moment_of_the_end_is_the_mails_moment() -> None:
    before = now()
    mail = Scene().score(1.0)
    assert before <= mail.created_at <= now()
