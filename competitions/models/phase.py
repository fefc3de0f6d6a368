from collections.abc import Mapping
from datetime import datetime
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition
from competitions.models.recipe import ScoringRecipe
from competitions.models.reference_set import ReferenceSet
from competitions.people import Viewer
from competitions.queues import Workers, scoring_queue
from styletransfer.metric_specs import EXTRACTORS
from styletransfer.pretrained import is_surrogate
from styletransfer.values import ExtractorPin


class Direction(models.TextChoices):
    LOWER = "lower", _("lower is better")
    HIGHER = "higher", _("higher is better")


class PhaseQuerySet(models.QuerySet["Phase"]):
    def visible_to(self, user: Viewer) -> Self:
        return self.filter(competition__in=Competition.objects.visible_to(user))


class Phase(models.Model):
    """A dated window of a competition: its limits, what is scored against, and how."""

    competition = models.ForeignKey(
        Competition, models.PROTECT, related_name="phases", verbose_name=_("competition")
    )
    name = models.CharField(_("name"), max_length=80)
    position = models.PositiveSmallIntegerField(_("position"), default=1)
    description = models.CharField(_("description"), max_length=500, blank=True)
    opens_at = models.DateTimeField(_("opens at"))
    closes_at = models.DateTimeField(_("closes at"), null=True, blank=True)
    reference_set = models.ForeignKey(
        ReferenceSet, models.PROTECT, related_name="phases", verbose_name=_("reference set")
    )
    recipe = models.ForeignKey(
        ScoringRecipe, models.PROTECT, related_name="phases", verbose_name=_("scoring recipe")
    )
    ranking_metric = models.CharField(_("ranking metric"), max_length=40, default="total")
    ranking_direction = models.CharField(
        _("ranking direction"), max_length=6, choices=Direction, default=Direction.LOWER
    )
    pairs_public = models.BooleanField(_("pairs are public"), default=False)
    board_pair_position = models.PositiveIntegerField(
        _("pair shown on the board"),
        default=0,
        help_text=_("Counted from 0. Each row of the board shows what the team made of this pair."),
    )

    quota_per_day = models.PositiveSmallIntegerField(_("submissions per 24 hours"), default=5)
    quota_total = models.PositiveIntegerField(_("submissions in all"), null=True, blank=True)
    quota_concurrent = models.PositiveSmallIntegerField(_("submissions at once"), default=2)
    free_failures = models.PositiveSmallIntegerField(_("failures that cost nothing"), default=0)
    max_checkpoint_bytes = models.PositiveBigIntegerField(
        _("largest checkpoint, bytes"), default=512 * 2**20, validators=[MinValueValidator(1)]
    )
    time_limit_s = models.PositiveIntegerField(_("time limit for all pairs, seconds"), default=300)
    memory_limit_bytes = models.PositiveBigIntegerField(_("memory limit, bytes"), default=3 * 2**30)

    workers = models.CharField(
        _("workers"),
        max_length=10,
        choices=Workers,
        default=Workers.EVALUATION,
        help_text=_(
            "Who scores. A competition’s own workers need a token, which you make under “Worker "
            "tokens”; checks are always made by the site’s own."
        ),
    )

    # A worker that has other weights than these refuses the run.
    # By role, as ``EXTRACTORS`` has them: {"name": ..., "sha256": ...}.
    pinned = models.JSONField(_("networks"), editable=False)

    objects = PhaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("phase")
        verbose_name_plural = _("phases")
        ordering = ["competition", "position", "opens_at"]
        constraints = [
            models.UniqueConstraint(fields=["competition", "name"], name="phase_name_unique"),
            models.CheckConstraint(
                condition=Q(closes_at__isnull=True) | Q(closes_at__gt=F("opens_at")),
                name="phase_closes_after_it_opens",
                violation_error_message=_("A phase closes after it opens."),
            ),
            models.CheckConstraint(
                condition=Q(quota_per_day__gte=1) & Q(quota_concurrent__gte=1),
                name="phase_quotas_allow_a_submission",
            ),
            models.CheckConstraint(
                condition=Q(max_checkpoint_bytes__gte=1)
                & Q(time_limit_s__gte=1)
                & Q(memory_limit_bytes__gte=2**29),
                name="phase_limits_are_positive",
            ),
            models.CheckConstraint(
                condition=Q(workers__in=Workers.values), name="phase_workers_known"
            ),
            models.CheckConstraint(
                condition=Q(ranking_direction__in=Direction.values),
                name="phase_ranking_direction_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.competition}: {self.name}"

    def get_absolute_url(self) -> str:
        return f"{reverse('competition', args=[self.competition.slug])}?phase={self.pk}"

    def is_open_at(self, moment: datetime) -> bool:
        return self.opens_at <= moment and (self.closes_at is None or moment < self.closes_at)

    @property
    def queue(self) -> str:
        """The queue of those who score its submissions."""
        return scoring_queue(self.workers, self.competition_id)

    @property
    def is_open(self) -> bool:
        return self.is_open_at(now())

    @property
    def extractors(self) -> dict[str, ExtractorPin]:
        """The feature networks by role, in the order of ``EXTRACTORS``."""
        pinned = self.pinned or {}
        return {role: ExtractorPin(**pinned[role]) for role in EXTRACTORS if role in pinned}

    @extractors.setter
    def extractors(self, pins: Mapping[str, ExtractorPin]) -> None:
        self.pinned = {role: pin.to_json() for role, pin in pins.items()}

    @property
    def uses_surrogates(self) -> bool:
        """Say whether scores come from stand-in weights, which every page must then show."""
        return bool(self.surrogates)

    @property
    def surrogates(self) -> list[str]:
        return [pin.name for pin in self.extractors.values() if is_surrogate(pin.name)]
