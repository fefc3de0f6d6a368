from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition
from styletransfer.recipe import Recipe


class ScoringRecipe(models.Model):
    """How outputs become scores: layers, weights and the discriminator, fixed by its hash."""

    competition = models.ForeignKey(
        Competition,
        models.PROTECT,
        verbose_name=_("competition"),
        related_name="recipes",
        null=True,
        blank=True,
        help_text=_("Empty: only administrators use it."),
    )
    name = models.CharField(_("name"), max_length=120)
    description = models.CharField(_("description"), max_length=500, blank=True)
    content_layer = models.CharField(_("content layer"), max_length=10, default="relu4_2")
    style_layers = models.JSONField(_("style layers"))
    style_weights = models.JSONField(_("style layer weights"))
    normalization = models.CharField(
        _("Gram normalisation"),
        max_length=10,
        choices=[("gatys", "gatys"), ("spatial", "spatial")],
        default="gatys",
    )
    alpha = models.FloatField(_("alpha, weight of content"))
    beta = models.FloatField(_("beta, weight of style"))
    gamma = models.FloatField(_("gamma, weight of the adversarial loss"))
    metrics = models.JSONField(_("metrics"))
    discriminator = models.FileField(_("discriminator"), upload_to="discriminators/", blank=True)
    discriminator_sha256 = models.CharField(
        _("SHA-256 of the discriminator"), max_length=64, blank=True
    )
    sha256 = models.CharField(_("SHA-256"), max_length=64, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("scoring recipe")
        verbose_name_plural = _("scoring recipes")
        constraints = [
            models.CheckConstraint(
                condition=Q(alpha__gte=0) & Q(beta__gte=0) & Q(gamma__gte=0),
                name="recipe_weights_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(gamma=0) | ~Q(discriminator_sha256=""),
                name="recipe_adversarial_needs_a_discriminator",
                violation_error_message=_("With gamma above 0, give a discriminator."),
            ),
            models.CheckConstraint(
                condition=Q(normalization__in=["gatys", "spatial"]),
                name="recipe_normalization_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.is_used:
            raise ValidationError(_("This recipe is in use: make a new one instead."))
        super().save(*args, **kwargs)

    @property
    def is_used(self) -> bool:
        return self.pk is not None and self.phases.exists()

    def as_value(self) -> Recipe:
        """Return what the scoring core works with; its hash names the recipe everywhere."""
        return Recipe(
            content_layer=self.content_layer,
            style_layers=tuple(self.style_layers),
            style_weights=tuple(self.style_weights),
            normalization=self.normalization,  # type: ignore[arg-type]
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
            discriminator_sha256=self.discriminator_sha256 or None,
            metrics=tuple(self.metrics),
        )
