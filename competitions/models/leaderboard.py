import sys
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from competitions.models.phase import Phase
from competitions.models.team import Team


class UnrankedReason(models.TextChoices):
    MISSING = "missing", _("The ranking metric is missing.")
    NOT_FINITE = "not_finite", _("The ranking metric is not a finite number.")


class LeaderboardEntryQuerySet(models.QuerySet["LeaderboardEntry"]):
    def for_board(self, phase: Phase) -> Self:
        """Load what a board shows of ``phase``, in one query, earlier submissions first."""
        return self.filter(phase=phase).select_related("team").order_by("submitted_at", "pk")


class LeaderboardEntry(models.Model):
    """A team's best submission in a phase: a projection, rebuilt from scores at any time."""

    phase = models.ForeignKey(
        Phase, models.CASCADE, related_name="leaderboard", verbose_name=_("phase")
    )
    team = models.ForeignKey(
        Team, models.CASCADE, related_name="leaderboard_entries", verbose_name=_("team")
    )
    # Not a foreign key: submissions stand above competitions and are not imported here.
    submission_id = models.UUIDField(_("submission"), unique=True)
    scores = models.JSONField(_("scores"))
    ranking_value = models.FloatField(_("ranking value"), null=True)
    unranked_reason = models.CharField(
        _("why it is not ranked"), max_length=10, choices=UnrankedReason, blank=True
    )
    submitted_at = models.DateTimeField(_("submitted at"))

    objects = LeaderboardEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("leaderboard entry")
        verbose_name_plural = _("leaderboard entries")
        constraints = [
            models.UniqueConstraint(fields=["phase", "team"], name="leaderboard_one_per_team"),
            models.CheckConstraint(
                condition=(Q(ranking_value__isnull=True) & ~Q(unranked_reason=""))
                | (Q(ranking_value__isnull=False) & Q(unranked_reason="")),
                name="leaderboard_unranked_says_why",
            ),
            models.CheckConstraint(
                condition=Q(unranked_reason__in=["", *UnrankedReason.values]),
                name="leaderboard_unranked_reason_known",
            ),
            # PostgreSQL sorts NaN above every number: this bound keeps it and infinities out.
            models.CheckConstraint(
                condition=Q(ranking_value__isnull=True)
                | (
                    Q(ranking_value__lte=sys.float_info.max)
                    & Q(ranking_value__gte=-sys.float_info.max)
                ),
                name="leaderboard_ranking_value_finite",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team}: {self.ranking_value}"
