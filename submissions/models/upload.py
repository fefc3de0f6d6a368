"""Checkpoints that arrive piece by piece, until a submission takes them over."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.models import Phase
from competitions.people import Viewer
from submissions.models.submission import Submission


class UploadStatus(models.TextChoices):
    RECEIVING = "receiving", _("Receiving")
    COMPLETE = "complete", _("Complete")
    USED = "used", _("Submitted")
    GONE = "gone", _("Gone")


UNUSED = (UploadStatus.RECEIVING, UploadStatus.COMPLETE)


class UploadQuerySet(models.QuerySet["Upload"]):
    def of(self, user: Viewer) -> Self:
        """Keep the uploads of ``user``: nobody else may know of one, teammates included."""
        return self.filter(owner=user) if user.is_authenticated else self.none()

    def unused(self) -> Self:
        """Keep what is on its way to a submission and takes up room for it."""
        return self.filter(status__in=UNUSED)

    def ended(self) -> Self:
        """Keep what is over and has no file of its own any more."""
        gone = Q(status=UploadStatus.GONE, checkpoint="")
        return self.filter(gone | Q(status=UploadStatus.USED))

    def with_leftovers(self) -> Self:
        """Keep what has stored bytes that nobody needs."""
        has_pieces = Exists(Piece.objects.filter(upload=OuterRef("pk")))
        not_removed = Q(status=UploadStatus.GONE) & ~Q(checkpoint="")
        return self.filter(not_removed | (~Q(status=UploadStatus.RECEIVING) & has_pieces))

    def free(self, at: datetime) -> Self:
        """Keep what nobody is writing to."""
        return self.filter(Q(held_until__isnull=True) | Q(held_until__lt=at))


class Upload(models.Model):
    """One file on its way. What of it is there is ``offset`` bytes; ``pieces`` hold them.

    Whoever writes holds the row by a token that a conditional update sets, as a lease: of several
    processes, on whatever hosts, one writes at a time, and one that fell silent is shut out.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="uploads"
    )
    phase = models.ForeignKey(Phase, models.PROTECT, related_name="uploads")
    file_name = models.CharField(max_length=100)  # a label; never a path
    length = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField(default=0)
    status = models.CharField(max_length=9, choices=UploadStatus, default=UploadStatus.RECEIVING)
    expected_sha256 = models.CharField(max_length=64, blank=True)  # as the sender says

    # Known once it is complete. The file is where the submission will have it.
    checkpoint = models.FileField(upload_to="checkpoints/%Y/%m/", blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    found_format = models.CharField(max_length=20, blank=True)
    refusal_code = models.CharField(max_length=40, blank=True)
    refusal_facts = models.JSONField(default=dict, blank=True)
    submission = models.OneToOneField(
        Submission, models.CASCADE, null=True, blank=True, related_name="upload"
    )

    holder = models.UUIDField(null=True, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    touched_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="upload_status_known", condition=Q(status__in=UploadStatus.values)
            ),
            models.CheckConstraint(
                name="upload_within_its_length", condition=Q(offset__lte=F("length"))
            ),
            models.CheckConstraint(
                name="upload_known_when_complete",
                condition=~Q(status__in=[UploadStatus.COMPLETE, UploadStatus.USED])
                | (Q(offset=F("length")) & ~Q(sha256="") & ~Q(checkpoint="")),
            ),
            models.CheckConstraint(
                name="upload_used_by_a_submission",
                condition=Q(status=UploadStatus.USED, submission__isnull=False)
                | (~Q(status=UploadStatus.USED) & Q(submission__isnull=True)),
            ),
            models.CheckConstraint(
                name="upload_held_until_a_time",
                condition=Q(holder__isnull=True, held_until__isnull=True)
                | Q(holder__isnull=False, held_until__isnull=False),
            ),
        ]
        indexes = [
            # The sweeper looks for what has expired, and each creation for what is under way.
            models.Index(
                name="upload_unused", fields=["expires_at"], condition=Q(status__in=UNUSED)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.offset} / {self.length})"

    def take_hold(self, token: uuid.UUID, *, lasting: timedelta) -> bool:
        """Become the one who writes; return False if another one does, or it is over."""
        free = Upload.objects.free(now()).filter(pk=self.pk, status=UploadStatus.RECEIVING)
        return self._change(free, holder=token, held_until=now() + lasting)

    def change_held(self, token: uuid.UUID, **changes: Any) -> bool:
        """Change the row as its holder; return False if it was lost to another, or is over."""
        held = Upload.objects.filter(pk=self.pk, status=UploadStatus.RECEIVING, holder=token)
        return self._change(held, **changes)

    def use(self, submission: Submission) -> bool:
        """Hand the file over to ``submission``; return False if it is not there to be had."""
        complete = Upload.objects.filter(pk=self.pk, status=UploadStatus.COMPLETE)
        return self._change(complete, status=UploadStatus.USED, submission=submission)

    def give_up(self) -> bool:
        """Let its bytes be removed; return False if a submission has them, or they are gone."""
        unused = Upload.objects.unused().filter(pk=self.pk)
        return self._change(unused, status=UploadStatus.GONE, holder=None, held_until=None)

    def touch(self) -> None:
        Upload.objects.filter(pk=self.pk).update(touched_at=now())

    def _change(self, rows: UploadQuerySet, **changes: Any) -> bool:
        changed = rows.update(touched_at=now(), **changes) == 1
        if changed:
            self.refresh_from_db()
        return changed


class Piece(models.Model):
    """A stored object that holds some bytes of an upload; the row is there before the object.

    So every object has a row that names it, whoever dies when: nothing is left that nobody knows.
    """

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="pieces")
    name = models.CharField(max_length=200, unique=True)
    offset = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField(null=True)  # once its bytes count
    created_at = models.DateTimeField(default=now)

    class Meta:
        verbose_name = _("piece of an upload")
        verbose_name_plural = _("pieces of uploads")
        constraints = [
            models.UniqueConstraint(
                name="piece_counts_once",
                fields=["upload", "offset"],
                condition=Q(size__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name
