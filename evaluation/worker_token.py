"""The tokens by which workers on other machines are known."""

import hashlib
import secrets
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from competitions.models import Competition
from competitions.people import User


class WorkerTokenQuerySet(models.QuerySet["WorkerToken"]):
    def usable(self) -> Self:
        return self.filter(revoked_at__isnull=True)

    def find(self, key: str) -> "WorkerToken | None":
        """Return the usable token with this key."""
        return self.usable().filter(key_sha256=WorkerToken.hash_key(key)).first()


class WorkerToken(models.Model):
    """A key for workers of one queue; only its hash is stored, so it is shown once."""

    name = models.CharField(_("name"), max_length=40, unique=True)
    queue = models.CharField(_("queue"), max_length=60)
    # Whose private queue it is; null for the site's own queues.
    competition = models.ForeignKey(
        Competition,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="worker_tokens",
        verbose_name=_("competition"),
    )
    key_sha256 = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("made by"),
    )
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = WorkerTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker token")
        verbose_name_plural = _("worker tokens")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(competition__isnull=False, queue__startswith="private-")
                | Q(competition__isnull=True, queue__in=["checks", "evaluation", "gpu"]),
                name="worker_token_queue_known",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def hash_key(key: str) -> str:
        # The key has 256 random bits: a fast hash is enough, there is nothing to guess.
        return hashlib.sha256(key.encode()).hexdigest()

    @classmethod
    def issue(
        cls, *, name: str, queue: str, competition_id: int | None, by: User
    ) -> tuple["WorkerToken", str]:
        """Make a token; return it with the key, which can't be had again."""
        key = secrets.token_urlsafe(32)
        made = cls.objects.create(
            name=name,
            queue=queue,
            competition_id=competition_id,
            key_sha256=cls.hash_key(key),
            created_by=by,
        )
        return made, key
