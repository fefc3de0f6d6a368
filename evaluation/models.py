"""What workers did and found: attempts, scores, and one value per pair and metric."""

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import BooleanField, Case, Q, Value, When
from django.db.models.functions import Now
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.models import Pair
from evaluation.shard_model import Shard, ShardState
from evaluation.worker_token import WorkerToken
from submissions.models import Submission

__all__ = [
    "EvaluationRun",
    "FirstPicture",
    "ImageScore",
    "Outcome",
    "Output",
    "Score",
    "Shard",
    "ShardState",
    "Stage",
    "Worker",
    "WorkerOutage",
]


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

    submission = models.ForeignKey(
        Submission, models.CASCADE, related_name="runs", verbose_name=_("submission")
    )
    attempt = models.PositiveIntegerField(_("attempt"))
    stage = models.CharField(_("stage"), max_length=5, choices=Stage)
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=Outcome, default=Outcome.RUNNING
    )
    worker = models.CharField(_("worker"), max_length=120)
    # Of a worker elsewhere; nobody else may report for it.
    token = models.ForeignKey(
        WorkerToken,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="runs",
        verbose_name=_("worker token"),
    )
    started_at = models.DateTimeField(_("started at"), default=now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    steps = models.JSONField(_("time of each step"), default=dict)  # name of the step -> seconds
    versions = models.JSONField(_("versions"), default=dict)
    card = models.JSONField(_("score card"), null=True, blank=True)
    log = models.TextField(_("log"), blank=True)

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
        return f"{self.submission_id}, {self.attempt}"


class Score(models.Model):
    """One metric's value for one run."""

    run = models.ForeignKey(
        EvaluationRun, models.CASCADE, related_name="scores", verbose_name=_("evaluation run")
    )
    metric = models.CharField(_("metric"), max_length=40)
    value = models.FloatField(_("value"))
    low = models.FloatField(_("lower end"), null=True)
    high = models.FloatField(_("upper end"), null=True)

    class Meta:
        verbose_name = _("score")
        verbose_name_plural = _("scores")
        constraints = [
            models.UniqueConstraint(fields=["run", "metric"], name="score_once_per_metric")
        ]

    def __str__(self) -> str:
        return f"{self.metric} = {self.value}"


class ImageScore(models.Model):
    """One metric's value for one pair of one run."""

    run = models.ForeignKey(
        EvaluationRun, models.CASCADE, related_name="image_scores", verbose_name=_("evaluation run")
    )
    pair = models.ForeignKey(Pair, models.PROTECT, related_name="+", verbose_name=_("pair"))
    metric = models.CharField(_("metric"), max_length=40)
    value = models.FloatField(_("value"))

    class Meta:
        verbose_name = _("score of a picture")
        verbose_name_plural = _("scores of pictures")
        constraints = [
            models.UniqueConstraint(
                fields=["run", "pair", "metric"], name="image_score_once_per_pair_and_metric"
            )
        ]

    def __str__(self) -> str:
        return f"{self.metric} ({self.pair_id}) = {self.value}"


class Output(models.Model):
    """The picture a generator made for a pair: exactly the pixels that were scored."""

    run = models.ForeignKey(
        EvaluationRun, models.CASCADE, related_name="outputs", verbose_name=_("evaluation run")
    )
    pair = models.ForeignKey(Pair, models.PROTECT, related_name="+", verbose_name=_("pair"))
    # Empty where it was removed after its time (evaluation/retention.py); the scores stay.
    file = models.FileField(_("file"), upload_to="outputs/%Y/%m/")
    # A small WebP for lists and boards. Empty where the output was made before there were any.
    thumbnail = models.FileField(_("thumbnail"), upload_to="thumbnails/%Y/%m/", blank=True)

    class Meta:
        verbose_name = _("output")
        verbose_name_plural = _("outputs")
        constraints = [models.UniqueConstraint(fields=["run", "pair"], name="output_once_per_pair")]

    def __str__(self) -> str:
        return f"{self.run_id} ({self.pair_id})"


class WorkerQuerySet(models.QuerySet["Worker"]):
    # All by the database's clock: that of a worker's machine may be wrong.
    def online(self) -> Self:
        return self.filter(self._is_online())

    def with_presence(self) -> "models.QuerySet[Any]":
        """Add ``is_online`` to each row."""
        present = When(self._is_online(), then=Value(True))
        return self.annotate(
            is_online=Case(present, default=Value(False), output_field=BooleanField())
        )

    def without_walls(self) -> Self:
        """Keep those that take no submissions because of their sandbox."""
        return self.filter(sandbox_check__is_ok=False)

    def seen_within(self, duration: timedelta) -> Self:
        return self.filter(seen_at__gt=Now() - duration)

    @staticmethod
    def _is_online() -> Q:
        return Q(ended_at__isnull=True, seen_at__gt=Now() - settings.WORKER_SILENCE)


class Worker(models.Model):
    """A worker process as it described itself, and when it was last heard of."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    # Of a worker elsewhere; null for one inside.
    token = models.ForeignKey(
        WorkerToken,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="known_workers",
        verbose_name=_("worker token"),
    )
    version = models.CharField(_("version"), max_length=40)
    device = models.CharField(_("device"), max_length=120)
    threads = models.PositiveSmallIntegerField(_("threads"))
    queues = models.JSONField(_("queues"), default=list)
    # What it found when it tried its sandbox: "is_ok", "problem", and "findings", one for each
    # attempt at a wall.
    sandbox_check = models.JSONField(_("check of the sandbox"), default=dict)
    started_at = models.DateTimeField(_("started at"))
    seen_at = models.DateTimeField(_("last seen at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FirstPicture(models.Model):
    """What a check made, for the team to look at: a content and a style image, and the picture.

    The images are those of the first pair, or a test card where the phase's pairs are hidden.
    """

    run = models.OneToOneField(
        EvaluationRun,
        models.CASCADE,
        related_name="first_picture",
        verbose_name=_("evaluation run"),
    )
    content = models.FileField(_("content image"), upload_to="checks/%Y/%m/")
    style = models.FileField(_("style image"), upload_to="checks/%Y/%m/", blank=True)
    picture = models.FileField(_("picture"), upload_to="checks/%Y/%m/")
    is_test_card = models.BooleanField(_("made of the test card"), default=False)
    # Codes of `styletransfer.first_look` with what each suggests.
    hints = models.JSONField(_("hints"), default=list)
    # "parameters", "needed_bytes" and "peak_bytes"; empty for checks made before they were kept.
    measured = models.JSONField(_("measured"), default=dict)

    class Meta:
        verbose_name = _("first picture")
        verbose_name_plural = _("first pictures")

    def __str__(self) -> str:
        return f"{self.run_id}"


class WorkerOutage(models.Model):
    """A time in which submissions waited in a queue and no worker was there for it."""

    queue = models.CharField(_("queue"), max_length=60)
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        verbose_name = _("time without workers")
        verbose_name_plural = _("times without workers")
        ordering = ["-started_at"]
        constraints = [
            # However many sweepers notice it, it is told once.
            models.UniqueConstraint(
                name="outage_once_at_a_time", fields=["queue"], condition=Q(ended_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.queue}, {self.started_at:%Y-%m-%d %H:%M}"
