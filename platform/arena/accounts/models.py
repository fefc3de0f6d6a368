"""Who people are, and the tokens their programs use."""

import hashlib
import secrets

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A person; e-mail addresses are unique whatever their case."""

    email = models.EmailField(_("e-mail address"), blank=True)
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, blank=True
    )
    time_zone = models.CharField(_("time zone"), max_length=50, blank=True)
    mail_submissions = models.BooleanField(_("when a submission of my team ends"), default=True)
    mail_announcements = models.BooleanField(_("when organizers announce something"), default=True)
    mail_invitations = models.BooleanField(_("when a team invites me"), default=True)
    # Only who organizes or administers is ever written to about this.
    mail_operations = models.BooleanField(_("when no worker is online"), default=True)

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                condition=~models.Q(email=""),
                name="user_email_unique",
                violation_error_message=_("Somebody has this e-mail address already."),
            )
        ]

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()  # as allauth keeps the addresses it looks up


class ApiToken(models.Model):
    """A named key for the REST interface; only its hash is stored, so it is shown once."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=80)
    key_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def hash_key(key: str) -> str:
        # The key has 256 random bits: a fast hash is enough, there is nothing to guess.
        return hashlib.sha256(key.encode()).hexdigest()

    @classmethod
    def issue(cls, user: User, *, name: str) -> tuple["ApiToken", str]:
        """Make a token; return it with the key, which can't be had again."""
        key = secrets.token_urlsafe(32)
        return cls.objects.create(user=user, name=name, key_sha256=cls.hash_key(key)), key
