from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition


class Team(models.Model):
    """Who owns submissions; a lone participant is a team of one."""

    competition = models.ForeignKey(
        Competition, models.PROTECT, related_name="teams", verbose_name=_("competition")
    )
    name = models.CharField(_("name"), max_length=80)
    is_baseline = models.BooleanField(_("baseline"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        constraints = [
            models.UniqueConstraint(
                fields=["competition", "name"],
                name="team_name_unique",
                violation_error_message=_("Another team has this name."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Participant(models.Model):
    """A user entered in a competition, in exactly one of its teams."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="participations",
        verbose_name=_("user"),
    )
    competition = models.ForeignKey(
        Competition, models.CASCADE, related_name="participants", verbose_name=_("competition")
    )
    team = models.ForeignKey(
        Team, models.PROTECT, related_name="participants", verbose_name=_("team")
    )
    joined_at = models.DateTimeField(_("joined at"), auto_now_add=True)
    # Which wording was accepted: terms may be reworded later.
    terms_sha256 = models.CharField(max_length=64, blank=True)
    terms_accepted_at = models.DateTimeField(_("accepted the terms at"), null=True, blank=True)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "competition"], name="participant_once_per_competition"
            ),
            models.CheckConstraint(
                condition=Q(terms_sha256="", terms_accepted_at__isnull=True)
                | (~Q(terms_sha256="") & Q(terms_accepted_at__isnull=False)),
                name="participant_accepted_terms_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.team})"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open_at(self, moment: datetime) -> Self:
        """Keep those that somebody may still accept."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=moment)


class Invitation(models.Model):
    """A link that lets one person join a team; only the key's hash is stored."""

    team = models.ForeignKey(
        Team, models.CASCADE, related_name="invitations", verbose_name=_("team")
    )
    key_sha256 = models.CharField(max_length=64, unique=True)
    email = models.EmailField(_("e-mail address"), blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("valid until"))
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("accepted by"),
    )
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(accepted_at__isnull=True) | Q(revoked_at__isnull=True),
                name="invitation_accepted_or_revoked",
            )
        ]

    def __str__(self) -> str:
        return str(_("Invitation to %(team)s") % {"team": self.team})
