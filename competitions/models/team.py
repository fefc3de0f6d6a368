from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition


class Team(models.Model):
    """Who owns submissions; a lone participant is a team of one."""

    competition = models.ForeignKey(Competition, models.PROTECT, related_name="teams")
    name = models.CharField(_("name"), max_length=80)
    is_baseline = models.BooleanField(_("baseline"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

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
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="participations"
    )
    competition = models.ForeignKey(Competition, models.CASCADE, related_name="participants")
    team = models.ForeignKey(Team, models.PROTECT, related_name="participants")
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "competition"], name="participant_once_per_competition"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"
