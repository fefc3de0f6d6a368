"""Mails that wait to be sent: the row is the truth, so none is lost with a transaction."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _


class MailKind(models.TextChoices):
    """What a mail is about; people choose which kinds they want."""

    SUBMISSION = "submission", _("A submission has ended")
    ANNOUNCEMENT = "announcement", _("Announcement")
    INVITATION = "invitation", _("Invitation to a team")
    OPERATIONS = "operations", _("Trouble with the platform")


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def due_at(self, moment: datetime) -> Self:
        return self.filter(
            Q(not_before__isnull=True) | Q(not_before__lte=moment),
            sent_at__isnull=True,
            given_up_at__isnull=True,
        )


class OutgoingMail(models.Model):
    """One mail to one address, written out in the language of whoever reads it."""

    kind = models.CharField(_("kind"), max_length=12, choices=MailKind)
    # Null: somebody who has no account yet.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="mails",
        verbose_name=_("user"),
    )
    address = models.EmailField(_("address"))
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"))
    html = models.TextField(blank=True)
    headers = models.JSONField(default=dict)

    created_at = models.DateTimeField(_("created at"), default=now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    given_up_at = models.DateTimeField(_("given up at"), null=True, blank=True)
    problem = models.CharField(_("problem"), max_length=300, blank=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=MailKind.values), name="mail_kind_known"),
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(given_up_at__isnull=True),
                name="mail_sent_or_given_up",
            ),
        ]
        indexes = [
            # The sweeper asks every few seconds for mails that wait, which are few.
            models.Index(
                name="mail_waiting",
                fields=["not_before"],
                condition=Q(sent_at__isnull=True, given_up_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.address}"


class MailRefusal(models.Model):
    """An address without an account that wants no more mails from us."""

    address = models.EmailField(_("address"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("refused address")
        verbose_name_plural = _("refused addresses")
        constraints = [models.UniqueConstraint(Lower("address"), name="mail_refusal_once")]

    def __str__(self) -> str:
        return self.address
