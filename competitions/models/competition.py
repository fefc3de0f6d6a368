from datetime import datetime
from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Case, Count, Max, Min, Q, When
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.people import Viewer


class CompetitionQuerySet(models.QuerySet["Competition"]):
    def organized_by(self, user: Viewer) -> Self:
        """Keep what ``user`` runs; administrators run everything."""
        if user.is_superuser:
            return self
        if not user.is_authenticated:
            return self.none()
        return self.filter(pk__in=Competition.objects.filter(organizers=user).values("pk"))

    def visible_to(self, user: Viewer) -> Self:
        """Keep what ``user`` may know of: published competitions and their own."""
        if user.is_superuser:
            return self
        published = Q(published_at__lte=now())
        if not user.is_authenticated:
            return self.filter(published)
        organized = Competition.objects.filter(organizers=user).values("pk")
        return self.filter(published | Q(pk__in=organized))

    def with_dates(self) -> Self:
        """Add ``opens_at`` and ``closes_at``: the first opening and last closing of a phase.

        ``closes_at`` is None if a phase never closes.
        """
        endless = Count("phases", filter=Q(phases__closes_at=None, phases__id__isnull=False))
        dated = self.annotate(endless=endless).annotate(
            opens_at=Min("phases__opens_at"),
            closes_at=Case(When(Q(endless__gt=0), then=None), default=Max("phases__closes_at")),
        )
        return dated.order_by("-published_at", "slug")  # grouping drops the model's own order


class Competition(models.Model):
    """What participants enter: one subject, one or more phases."""

    slug = models.SlugField(_("address"), unique=True)
    title = models.CharField(_("title"), max_length=120)
    summary = models.CharField(_("summary"), max_length=300)
    description = models.TextField(_("description"), help_text=_("Markdown"))
    rules = models.TextField(_("rules"), blank=True, help_text=_("Markdown"))
    data_description = models.TextField(_("about the data"), blank=True, help_text=_("Markdown"))
    terms = models.TextField(
        _("terms"),
        blank=True,
        help_text=_("Markdown. Whoever joins accepts them; later changes ask nobody again."),
    )
    max_team_size = models.PositiveSmallIntegerField(
        _("members of a team at most"), default=4, validators=[MinValueValidator(1)]
    )
    teams_freeze_at = models.DateTimeField(
        _("teams stay as they are from"),
        null=True,
        blank=True,
        help_text=_("From then on nobody joins or leaves a team. Empty: teams stay open."),
    )
    organizers = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("organizers"),
        related_name="organized_competitions",
        blank=True,
    )
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    # Present on rows that came through with_dates().
    opens_at: datetime | None
    closes_at: datetime | None

    objects = CompetitionQuerySet.as_manager()

    class Meta:
        verbose_name = _("competition")
        verbose_name_plural = _("competitions")
        ordering = ["-published_at", "slug"]
        constraints = [
            models.CheckConstraint(
                condition=Q(max_team_size__gte=1), name="competition_teams_have_members"
            )
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("competition", args=[self.slug])

    @property
    def is_published(self) -> bool:
        return self.published_at is not None and self.published_at <= now()

    def are_teams_open_at(self, moment: datetime) -> bool:
        return self.teams_freeze_at is None or moment < self.teams_freeze_at
