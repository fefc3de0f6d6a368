"""Work that a worker does for organizers: importing images, making a banner, calibrating."""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.models.competition import Competition
from competitions.models.recipe import ScoringRecipe
from competitions.models.reference_set import ImageRole, ReferenceSet
from competitions.people import Viewer


class PreparationKind(models.TextChoices):
    IMAGES = "images", _("Import of images")
    BANNER = "banner", _("Banner")
    CALIBRATION = "calibration", _("Calibration")


class PreparationStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Preparing")
    DONE = "done", _("Ready")
    REJECTED = "rejected", _("Rejected")
    FAULT = "fault", _("Platform fault")


class PreparationQuerySet(models.QuerySet["Preparation"]):
    def manageable_by(self, user: Viewer) -> Self:
        if user.is_superuser:
            return self
        if not user.is_authenticated:
            return self.none()
        return self.about(Competition.objects.organized_by(user))

    def about(self, competitions: models.QuerySet[Competition]) -> Self:
        """Keep what is done for some competitions, or for sets of theirs."""
        found = competitions.order_by().values("pk")
        return self.filter(Q(competition__in=found) | Q(reference_set__competition__in=found))

    # Leases and pauses go by the database's clock: that of a worker's machine may be wrong.
    def waiting(self) -> Self:
        """Keep rows that no worker holds and that may be started."""
        return self.filter(
            Q(not_before__isnull=True) | Q(not_before__lte=Now()), status=PreparationStatus.WAITING
        )

    def held(self) -> Self:
        """Keep rows whose worker has said in time that it lives."""
        return self.filter(lease_expires_at__gt=Now())

    def lost(self) -> Self:
        """Keep rows whose worker has gone silent."""
        return self.filter(lease_expires_at__lte=Now())


class Preparation(models.Model):
    """One piece of such work. The row is the truth; a message to a worker only a hint.

    IMAGES turns ``upload`` (one picture or a zip of pictures) into images of the reference set.
    BANNER turns ``upload`` (one picture) into the banner of the competition.
    CALIBRATION measures the two anchors of the reference set and sets the recipe's weights.
    """

    kind = models.CharField(_("kind"), max_length=11, choices=PreparationKind)
    competition = models.ForeignKey(
        Competition,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="preparations",
        verbose_name=_("competition"),
    )
    reference_set = models.ForeignKey(
        ReferenceSet,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="preparations",
        verbose_name=_("reference set"),
    )
    recipe = models.ForeignKey(
        ScoringRecipe,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="preparations",
        verbose_name=_("scoring recipe"),
    )
    upload = models.FileField(_("upload"), upload_to="uploads/%Y/%m/", blank=True)
    file_name = models.CharField(_("file"), max_length=100, blank=True)  # a label; never a path
    role = models.CharField(_("used as"), max_length=7, choices=ImageRole, blank=True)
    credit = models.CharField(_("credit"), max_length=200, blank=True)
    licence = models.CharField(_("licence"), max_length=100, blank=True)
    source = models.CharField(_("source"), max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("requested by"),
    )

    status = models.CharField(
        _("state"), max_length=8, choices=PreparationStatus, default=PreparationStatus.WAITING
    )
    progress_done = models.PositiveIntegerField(default=0)
    progress_of = models.PositiveIntegerField(default=0)
    problem_code = models.CharField(max_length=40, blank=True)
    problem_facts = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)

    created_at = models.DateTimeField(_("requested at"), default=now, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    faults = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)

    objects = PreparationQuerySet.as_manager()

    class Meta:
        verbose_name = _("preparation")
        verbose_name_plural = _("preparations")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=PreparationKind.values), name="preparation_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=PreparationStatus.values), name="preparation_status_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    kind="images",
                    competition__isnull=True,
                    reference_set__isnull=False,
                    recipe__isnull=True,
                )
                | Q(
                    kind="banner",
                    competition__isnull=False,
                    reference_set__isnull=True,
                    recipe__isnull=True,
                )
                | Q(
                    kind="calibration",
                    competition__isnull=True,
                    reference_set__isnull=False,
                    recipe__isnull=False,
                ),
                name="preparation_for_what_its_kind_needs",
            ),
            models.CheckConstraint(
                condition=(Q(status="running") & Q(lease_expires_at__isnull=False))
                | (~Q(status="running") & Q(lease_expires_at__isnull=True)),
                name="preparation_lease_while_running",
            ),
            models.CheckConstraint(
                condition=(Q(status__in=["rejected", "fault"]) & ~Q(problem_code=""))
                | (~Q(status__in=["rejected", "fault"]) & Q(problem_code="")),
                name="preparation_problem_explained",
            ),
        ]
        indexes = [
            models.Index(
                name="preparation_open",
                fields=["created_at"],
                condition=Q(status__in=["waiting", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"

    @property
    def subject(self) -> Competition | ReferenceSet:
        """What it is done for."""
        found = self.competition or self.reference_set
        assert found is not None  # noqa: S101 - a constraint holds it
        return found

    def claim(self, *, lease_expires_at: Combinable | datetime) -> bool:
        """Start an attempt; return whether it is ours."""
        rows = Preparation.objects.waiting()
        return self._change(
            rows,
            status=PreparationStatus.RUNNING,
            attempt=F("attempt") + 1,
            lease_expires_at=lease_expires_at,
            not_before=None,
            progress_done=0,
            progress_of=0,
        )

    def renew(self, *, lease_expires_at: Combinable | datetime, **progress: int) -> bool:
        """Keep the lease; return False if this attempt no longer holds the row."""
        held = self._present(Preparation.objects.held())
        return held.update(lease_expires_at=lease_expires_at, **progress) == 1

    def end(self, status: PreparationStatus, **changes: Any) -> bool:
        """Leave RUNNING as the worker that holds the row; return False if it had lost it."""
        return self._end(Preparation.objects.held(), status, changes)

    def take_back(self, status: PreparationStatus, **changes: Any) -> bool:
        """Take the row from a worker that went silent; return False if it still renews."""
        return self._end(Preparation.objects.lost(), status, changes)

    def _end(
        self, rows: PreparationQuerySet, status: PreparationStatus, changes: dict[str, Any]
    ) -> bool:
        running = rows.filter(status=PreparationStatus.RUNNING)
        return self._change(running, status=status, lease_expires_at=None, **changes)

    def _present(self, rows: PreparationQuerySet) -> PreparationQuerySet:
        return rows.filter(pk=self.pk, attempt=self.attempt)

    def _change(self, rows: PreparationQuerySet, **changes: Any) -> bool:
        # One conditional UPDATE: of two workers exactly one sees the row change.
        changed = self._present(rows).update(**changes) == 1
        if changed:
            self.refresh_from_db()
        return changed
