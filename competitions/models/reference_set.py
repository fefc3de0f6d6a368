"""Fixed images that a phase scores against. Once frozen they never change."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition

Part = TypeVar("Part", bound="ReferenceImage | Pair")


class PartQuerySet(models.QuerySet[Part]):
    """Rows of reference sets; what acts on many at once spares frozen sets as ``save`` does."""

    def update(self, **changes: Any) -> int:
        self._require_thawed()
        return super().update(**changes)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._require_thawed()
        return super().delete()

    def bulk_create(self, objs: Iterable[Part], *args: Any, **kwargs: Any) -> list[Part]:
        parts = list(objs)
        for part in parts:
            part.reference_set.require_thawed()
        return super().bulk_create(parts, *args, **kwargs)

    def _require_thawed(self) -> None:
        for row in self.filter(reference_set__frozen_at__isnull=False)[:1]:
            row.reference_set.require_thawed()


class Pairing(models.TextChoices):
    """Which contents meet which styles when pairs are made of a set's images."""

    IN_TURN = "in_turn", _("each content with one style, in turn")
    ALL = "all", _("every content with every style")


class ReferenceSet(models.Model):
    competition = models.ForeignKey(
        Competition,
        models.PROTECT,
        verbose_name=_("competition"),
        related_name="reference_sets",
        null=True,
        blank=True,
        help_text=_("Empty: only administrators use it."),
    )
    name = models.CharField(_("name"), max_length=120)
    pairing = models.CharField(_("pairs"), max_length=7, choices=Pairing, default=Pairing.IN_TURN)
    image_size = models.PositiveSmallIntegerField(_("image size"), default=256)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    frozen_at = models.DateTimeField(_("in use since"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("reference set")
        verbose_name_plural = _("reference sets")
        constraints = [
            models.CheckConstraint(
                condition=(Q(sha256="") & Q(frozen_at__isnull=True))
                | (~Q(sha256="") & Q(frozen_at__isnull=False)),
                name="reference_set_frozen_with_its_hash",
            ),
            models.CheckConstraint(
                condition=Q(image_size__gte=32) & Q(image_size__lte=1024),
                name="reference_set_image_size_in_range",
            ),
            models.CheckConstraint(
                condition=Q(pairing__in=Pairing.values), name="reference_set_pairing_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        frozen = ReferenceSet.objects.filter(pk=self.pk, frozen_at__isnull=False).first()
        if frozen is not None and (frozen.sha256, frozen.image_size, frozen.frozen_at) != (
            self.sha256,
            self.image_size,
            self.frozen_at,
        ):
            frozen.require_thawed()
        super().save(*args, **kwargs)

    def require_thawed(self) -> None:
        if self.frozen_at is not None:
            raise ValidationError(_("This reference set is in use: make a new one instead."))


class ImageRole(models.TextChoices):
    CONTENT = "content", _("content image")
    STYLE = "style", _("style image")
    REAL = "real", _("reference for FID")


class ReferenceImage(models.Model):
    """One 8-bit RGB PNG of the set's size, named by what it plays in the set."""

    reference_set = models.ForeignKey(
        ReferenceSet, models.CASCADE, related_name="images", verbose_name=_("reference set")
    )
    role = models.CharField(_("used as"), max_length=7, choices=ImageRole)
    position = models.PositiveIntegerField(_("position"))
    name = models.CharField(_("name"), max_length=100)
    file = models.FileField(_("file"), upload_to="references/%Y/%m/")
    # A small WebP for lists; never what is scored against. Empty until a worker has made it.
    thumbnail = models.FileField(_("thumbnail"), upload_to="thumbnails/%Y/%m/", blank=True)
    pixels_sha256 = models.CharField(max_length=64)
    credit = models.CharField(_("credit"), max_length=200, blank=True)
    licence = models.CharField(_("licence"), max_length=100, blank=True)
    source = models.CharField(_("source"), max_length=300, blank=True)

    objects = PartQuerySet["ReferenceImage"].as_manager()

    class Meta:
        verbose_name = _("reference image")
        verbose_name_plural = _("reference images")
        ordering = ["reference_set", "role", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["reference_set", "role", "position"], name="reference_image_place_unique"
            ),
            models.UniqueConstraint(
                fields=["reference_set", "role", "name"], name="reference_image_name_unique"
            ),
            models.CheckConstraint(
                condition=Q(role__in=ImageRole.values), name="reference_image_role_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.reference_set.require_thawed()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self.reference_set.require_thawed()
        return super().delete(*args, **kwargs)


class Pair(models.Model):
    """One content image with the style it is to be given."""

    reference_set = models.ForeignKey(
        ReferenceSet, models.CASCADE, related_name="pairs", verbose_name=_("reference set")
    )
    position = models.PositiveIntegerField(_("position"))
    content = models.ForeignKey(
        ReferenceImage, models.PROTECT, related_name="+", verbose_name=_("content image")
    )
    style = models.ForeignKey(
        ReferenceImage, models.PROTECT, related_name="+", verbose_name=_("style image")
    )

    objects = PartQuerySet["Pair"].as_manager()

    class Meta:
        verbose_name = _("pair")
        verbose_name_plural = _("pairs")
        ordering = ["reference_set", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["reference_set", "position"], name="pair_position_unique"
            ),
            models.UniqueConstraint(
                fields=["reference_set", "content", "style"], name="pair_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.content} / {self.style}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.reference_set.require_thawed()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self.reference_set.require_thawed()
        return super().delete(*args, **kwargs)
