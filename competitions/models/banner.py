"""The picture that a competition is headed by."""

from typing import Self

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition
from competitions.people import Viewer


class BannerQuerySet(models.QuerySet["Banner"]):
    def visible_to(self, user: Viewer) -> Self:
        """Keep those of competitions that ``user`` may know of."""
        seen = Competition.objects.visible_to(user).order_by().values("pk")
        return self.filter(competition__in=seen)


class Banner(models.Model):
    """A WebP that a worker made. Another picture is another row, so an address never changes."""

    competition = models.OneToOneField(
        Competition, models.CASCADE, related_name="banner", verbose_name=_("competition")
    )
    file = models.FileField(_("file"), upload_to="banners/")
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    alt = models.CharField(_("what the picture shows"), max_length=200, blank=True)

    objects = BannerQuerySet.as_manager()

    class Meta:
        verbose_name = _("banner")
        verbose_name_plural = _("banners")

    def __str__(self) -> str:
        return str(self.competition)

    def get_absolute_url(self) -> str:
        return reverse("banner", args=[self.pk])
