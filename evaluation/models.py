"""What workers did and found: attempts, scores, and one value per pair and metric."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.models import Pair
from submissions.models import Submission


class Stage(models.TextChoices):
    CHECK = "check", _("Check")
    SCORE = "score", _("Evaluation")


class Outcome(models.TextChoices):
    RUNNING = "running", _("Running")
    PASSED = "passed", _("Passed")
    REFUSED = "refused", _("Refused")
    FAULT = "fault", _("Platform fault")
    STOPPED = "stopped", _("Cancelled")
    LOST = "lost", _("Worker lost")
    SUPERSEDED = "superseded", _("Passed, then done again")


class EvaluationRunQuerySet(models.QuerySet["EvaluationRun"]):
    def that_count(self) -> Self:
        """Keep runs whose scores count; a constraint allows one per submission."""
        return self.filter(stage=Stage.SCORE, outcome=Outcome.PASSED)


class EvaluationRun(models.Model):
    """One attempt of a worker at a submission."""

    submission = models.ForeignKey(Submission, models.CASCADE, related_name="runs")
    attempt = models.PositiveIntegerField()
    stage = models.CharField(max_length=5, choices=Stage)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.RUNNING)
    worker = models.CharField(max_length=120)
    started_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True, blank=True)
    steps = models.JSONField(default=dict)  # name of the step -> seconds
    versions = models.JSONField(default=dict)
    card = models.JSONField(null=True, blank=True)
    log = models.TextField(blank=True)

    objects = EvaluationRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("evaluation run")
        verbose_name_plural = _("evaluation runs")
        ordering = ["submission", "attempt"]
        indexes = [
            # The sweeper looks for open runs every few seconds; there are as many as workers.
            models.Index(
                name="run_open", fields=["started_at"], condition=Q(outcome=Outcome.RUNNING)
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["submission", "attempt"], name="run_attempt_unique"),
            models.CheckConstraint(condition=Q(stage__in=Stage.values), name="run_stage_known"),
            models.CheckConstraint(
                condition=Q(outcome__in=Outcome.values), name="run_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome=Outcome.RUNNING, finished_at__isnull=True)
                | (~Q(outcome=Outcome.RUNNING) & Q(finished_at__isnull=False)),
                name="run_finished_when_it_ended",
            ),
            # However often a message is delivered, a submission is scored once.
            models.UniqueConstraint(
                fields=["submission"],
                condition=Q(stage=Stage.SCORE, outcome=Outcome.PASSED),
                name="run_scores_a_submission_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.submission_id} attempt {self.attempt}"


class Score(models.Model):
    """One metric's value for one run."""

    run = models.ForeignKey(EvaluationRun, models.CASCADE, related_name="scores")
    metric = models.CharField(max_length=40)
    value = models.FloatField()
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "metric"], name="score_once_per_metric")
        ]

    def __str__(self) -> str:
        return f"{self.metric} = {self.value}"


class ImageScore(models.Model):
    """One metric's value for one pair of one run."""

    run = models.ForeignKey(EvaluationRun, models.CASCADE, related_name="image_scores")
    pair = models.ForeignKey(Pair, models.PROTECT, related_name="+")
    metric = models.CharField(max_length=40)
    value = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "pair", "metric"], name="image_score_once_per_pair_and_metric"
            )
        ]

    def __str__(self) -> str:
        return f"{self.metric} of pair {self.pair_id} = {self.value}"


class Output(models.Model):
    """The picture a generator made for a pair: exactly the pixels that were scored."""

    run = models.ForeignKey(EvaluationRun, models.CASCADE, related_name="outputs")
    pair = models.ForeignKey(Pair, models.PROTECT, related_name="+")
    file = models.FileField(upload_to="outputs/%Y/%m/")
    # A small WebP for lists and boards. Empty where the output was made before there were any.
    thumbnail = models.FileField(upload_to="thumbnails/%Y/%m/", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "pair"], name="output_once_per_pair")]

    def __str__(self) -> str:
        return f"output of pair {self.pair_id}"
