"""Pieces of a run that several workers make: one row each, moved only by conditional updates."""

from datetime import timedelta
from typing import Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ShardState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    HELD = "held", _("Being made")
    DONE = "done", _("Done")


class ShardQuerySet(models.QuerySet["Shard"]):
    # Everything by the database's clock; and by subqueries rather than joins, so that an UPDATE
    # asks for a row's own state again where another one has just changed it.
    def open(self) -> Self:
        """Keep those of runs that still hold their submission."""
        # Asked for by its name: that module imports this one.
        runs = apps.get_model("evaluation", "EvaluationRun")._default_manager.filter(
            pk=OuterRef("run_id"),
            outcome="running",
            submission__attempt=F("attempt"),
            submission__lease_expires_at__gt=Now(),
        )
        return self.filter(Exists(runs))

    def ready(self) -> Self:
        """Keep those that a worker may begin; what puts a run together only when all is made."""
        missing = Shard.objects.filter(run=OuterRef("run_id"), count__gt=0).exclude(
            state=ShardState.DONE
        )
        return self.open().filter(
            Q(not_before__isnull=True) | Q(not_before__lte=Now()),
            Q(count__gt=0) | ~Exists(missing),
            state=ShardState.WAITING,
        )

    def held(self) -> Self:
        """Keep those whose worker has said in time that it lives."""
        return self.open().filter(state=ShardState.HELD, lease_expires_at__gt=Now())

    def lost(self) -> Self:
        """Keep those whose worker has gone silent."""
        return self.open().filter(state=ShardState.HELD, lease_expires_at__lte=Now())

    def spent_s(self) -> float:
        """Return how many seconds generators have run for these."""
        found: float | None = self.aggregate(total=Sum("generating_s"))["total"]
        return found or 0.0


class Shard(models.Model):
    """Some successive pairs of a run; the last one, without pairs, puts the score card together."""

    run = models.ForeignKey(
        "evaluation.EvaluationRun",
        models.CASCADE,
        related_name="shards",
        verbose_name=_("evaluation run"),
    )
    first = models.PositiveIntegerField(_("first pair"))
    count = models.PositiveIntegerField(_("pairs"))
    state = models.CharField(
        _("state"), max_length=7, choices=ShardState, default=ShardState.WAITING
    )
    worker = models.CharField(_("worker"), max_length=120, blank=True)
    step = models.CharField(_("step"), max_length=20, blank=True)
    made = models.PositiveIntegerField(_("pictures made"), default=0)
    generating_s = models.FloatField(_("time of the generator, seconds"), null=True, blank=True)
    steps = models.JSONField(_("time of each step"), default=dict)  # name of the step -> seconds
    versions = models.JSONField(_("versions"), default=dict)
    log = models.TextField(_("log"), blank=True)
    # What was measured: `styletransfer.shard`; removed when the run has ended.
    result = models.FileField(_("result"), upload_to="shards/%Y/%m/", blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    # Which attempt holds the row, until when, and how often the platform let it down.
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    faults = models.PositiveSmallIntegerField(default=0)

    objects = ShardQuerySet.as_manager()

    class Meta:
        verbose_name = _("part of a run")
        verbose_name_plural = _("parts of runs")
        ordering = ["run", "first"]
        constraints = [
            models.UniqueConstraint(name="shard_once_per_pair", fields=["run", "first"]),
            models.CheckConstraint(
                name="shard_state_known", condition=Q(state__in=ShardState.values)
            ),
            models.CheckConstraint(
                name="shard_held_by_a_lease",
                condition=Q(state=ShardState.HELD, lease_expires_at__isnull=False)
                | (~Q(state=ShardState.HELD) & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="shard_finished_when_it_is_done",
                condition=Q(state=ShardState.DONE, finished_at__isnull=False)
                | (~Q(state=ShardState.DONE) & Q(finished_at__isnull=True)),
            ),
        ]
        indexes = [
            # The sweeper looks for these every few seconds; there are few.
            models.Index(name="shard_open", fields=["run"], condition=~Q(state=ShardState.DONE))
        ]

    def __str__(self) -> str:
        if self.puts_together:
            return f"{self.run_id}, all"
        return f"{self.run_id}, {self.first} … {self.first + self.count - 1}"

    @property
    def puts_together(self) -> bool:
        """Say whether it makes no pictures, but the score card of all others."""
        return self.count == 0

    @property
    def pairs(self) -> range:
        return range(self.first, self.first + self.count)

    def claim(self, *, worker: str, lease_expires_at: Combinable) -> bool:
        """Start an attempt; return whether it is ours."""
        return self._change(
            Shard.objects.ready(),
            state=ShardState.HELD,
            attempt=F("attempt") + 1,
            worker=worker,
            lease_expires_at=lease_expires_at,
            not_before=None,
            started_at=Now(),
            step="",
            made=0,
        )

    def renew(self, *, lease_expires_at: Combinable, **progress: Any) -> bool:
        """Keep the lease; return False if this attempt no longer holds the row."""
        held = self._present(Shard.objects.held())
        return held.update(lease_expires_at=lease_expires_at, **progress) == 1

    def finish(self, **found: Any) -> bool:
        """Record what was found as the worker that holds the row; False if it had lost it."""
        return self._change(
            Shard.objects.held(),
            state=ShardState.DONE,
            lease_expires_at=None,
            finished_at=Now(),
            **found,
        )

    def give_up(self, *, faults: int = 0, pause: timedelta | None = None) -> bool:
        """Leave the row to another as the worker that holds it; return False if it had lost it."""
        return self._give_back(Shard.objects.held(), faults, pause)

    def take_back(self) -> bool:
        """Take the row from a worker that went silent; return False if it still renews."""
        return self._give_back(Shard.objects.lost(), 1, None)

    def _give_back(self, rows: ShardQuerySet, faults: int, pause: timedelta | None) -> bool:
        return self._change(
            rows,
            state=ShardState.WAITING,
            # Whoever held the row can no longer write to it.
            attempt=F("attempt") + 1,
            faults=F("faults") + faults,
            lease_expires_at=None,
            not_before=Now() + pause if pause else None,
            dispatched_at=None,
            step="",
            made=0,
        )

    def _present(self, rows: ShardQuerySet) -> ShardQuerySet:
        return rows.filter(pk=self.pk, attempt=self.attempt)

    def _change(self, rows: ShardQuerySet, **changes: Any) -> bool:
        # One conditional UPDATE: of two workers exactly one sees the row change.
        changed = self._present(rows).update(**changes) == 1
        if changed:
            # Not the whole row: the run and its submission stay as they were when it was claimed.
            self.refresh_from_db(fields=[*changes])
        return changed
