"""Submissions: one row each, moved only by conditional updates."""

import uuid
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.models import Competition, Phase, Team
from competitions.people import User, Viewer
from submissions.failures import Failure
from submissions.states import (
    ACTIVE,
    CHANGEABLE,
    EXPLAINED,
    MAY_BE_SENT_AGAIN,
    RESTARTABLE,
    SCORED_AGAIN,
    Status,
    is_final,
    sources_of,
)


class SubmissionQuerySet(models.QuerySet["Submission"]):
    def visible_to(self, user: Viewer) -> Self:
        """Keep what ``user`` may know of.

        That is: scored submissions of competitions they can see unless an organizer hid them,
        everything of their own team, and everything of the competitions they organize. One that
        was scored before stays visible while it is scored again, and not if that fails.
        """
        if user.is_superuser:
            return self
        scored = Q(status=Status.SCORED) | Q(scored_at__isnull=False, status__in=SCORED_AGAIN)
        public = scored & Q(phase__competition__in=Competition.objects.visible_to(user))
        public &= ~Q(exclusion=Exclusion.HIDDEN)
        if not user.is_authenticated:
            return self.filter(public)
        return self.filter(public | self._held_by(user))

    def manageable_by(self, user: Viewer) -> Self:
        """Keep what ``user`` may cancel and read the log of: own team's and organized ones."""
        if user.is_superuser:
            return self
        if not user.is_authenticated:
            return self.none()
        return self.filter(self._held_by(user))

    @staticmethod
    def _held_by(user: User) -> Q:
        teams = Team.objects.filter(participants__user=user).values("pk")
        organized = Competition.objects.filter(organizers=user).values("pk")
        return Q(team__in=teams) | Q(phase__competition__in=organized)

    def for_listing(self) -> Self:
        """Load what one row of a listing shows, in one query."""
        return self.select_related("team", "phase__competition").order_by("-created_at", "pk")

    # Leases and pauses go by the database's clock: that of a worker's machine may be wrong.
    def waiting(self, status: Status) -> Self:
        """Keep rows of ``status`` that no worker holds and that may be started."""
        return self.filter(
            Q(lease_expires_at__isnull=True),
            Q(not_before__isnull=True) | Q(not_before__lte=Now()),
            status=status,
        )

    def held(self) -> Self:
        """Keep rows whose worker has said in time that it lives."""
        return self.filter(lease_expires_at__gt=Now())

    def lost(self) -> Self:
        """Keep rows whose worker has gone silent."""
        return self.filter(lease_expires_at__lte=Now())


class Exclusion(models.TextChoices):
    """Why an organizer took a submission off the board."""

    HIDDEN = "hidden", _("Hidden")
    DISQUALIFIED = "disqualified", _("Disqualified")


class Submission(models.Model):
    """One checkpoint, entered by a team in a phase."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    phase = models.ForeignKey(
        Phase, models.PROTECT, related_name="submissions", verbose_name=_("phase")
    )
    team = models.ForeignKey(
        Team, models.PROTECT, related_name="submissions", verbose_name=_("team")
    )
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="submissions",
        verbose_name=_("submitted by"),
    )
    checkpoint = models.FileField(_("checkpoint"), upload_to="checkpoints/%Y/%m/")
    file_name = models.CharField(_("file"), max_length=100)  # a label; never a path
    size_bytes = models.PositiveBigIntegerField(_("size in bytes"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    manifest = models.JSONField(_("manifest"))
    manifest_sha256 = models.CharField(max_length=64)
    # What the check proposed where no manifest was given: `styletransfer.proposal`.
    proposal = models.JSONField(_("proposal"), null=True, blank=True)
    # Of the safetensors file that a state dict gives; a constant of the upload.
    converted_sha256 = models.CharField(_("SHA-256 as converted"), max_length=64, blank=True)
    # The team wants to see the first picture before it queues.
    is_held = models.BooleanField(_("waits for a go-ahead"), default=False)

    status = models.CharField(_("state"), max_length=14, choices=Status, default=Status.CHECKING)
    failure_code = models.CharField(_("failure"), max_length=40, blank=True)
    failure_facts = models.JSONField(default=dict, blank=True)
    step = models.CharField(_("step"), max_length=20, blank=True)
    progress_done = models.PositiveIntegerField(default=0)
    progress_of = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField(_("submitted at"), default=now, editable=False)
    status_changed_at = models.DateTimeField(default=now)
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True)
    queued_at = models.DateTimeField(_("queued at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    # First scored at: while it is scored again it stays as visible as it was.
    scored_at = models.DateTimeField(_("first scored at"), null=True, blank=True)
    exclusion = models.CharField(_("exclusion"), max_length=12, choices=Exclusion, blank=True)
    exclusion_reason = models.CharField(_("reason of the exclusion"), max_length=300, blank=True)
    excluded_at = models.DateTimeField(_("excluded at"), null=True, blank=True)
    excluded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("excluded by"),
    )

    # Which attempt holds the row, until when, and how often the platform let it down.
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    faults = models.PositiveSmallIntegerField(default=0)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="submission_status_known", condition=Q(status__in=Status.values)
            ),
            models.CheckConstraint(
                name="submission_failure_explained",
                condition=(Q(status__in=EXPLAINED) & ~Q(failure_code=""))
                | (~Q(status__in=EXPLAINED) & Q(failure_code="")),
            ),
            models.CheckConstraint(
                name="submission_exclusion_explained",
                condition=Q(exclusion="", exclusion_reason="", excluded_at__isnull=True)
                | (
                    Q(exclusion__in=Exclusion.values)
                    & ~Q(exclusion_reason="")
                    & Q(excluded_at__isnull=False)
                ),
            ),
            models.CheckConstraint(
                name="submission_lease_only_while_worked_on",
                condition=Q(lease_expires_at__isnull=True)
                | Q(status__in=[Status.CHECKING, Status.RUNNING]),
            ),
            models.CheckConstraint(
                name="submission_running_has_a_lease",
                condition=~Q(status=Status.RUNNING) | Q(lease_expires_at__isnull=False),
            ),
            models.UniqueConstraint(
                name="submission_not_sent_twice",
                fields=["phase", "team", "sha256", "manifest_sha256"],
                condition=~Q(status__in=MAY_BE_SENT_AGAIN),
            ),
        ]
        indexes = [
            # The sweeper and the queue position ask for active rows only, which are few.
            models.Index(
                name="submission_active",
                fields=["status", "queued_at"],
                condition=Q(status__in=ACTIVE),
            ),
            # Quotas count a team's submissions to a phase by time.
            models.Index(name="submission_quota", fields=["phase", "team", "created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.get_status_display()})"

    def get_absolute_url(self) -> str:
        return reverse("submission", args=[self.pk])

    @property
    def has_ended(self) -> bool:
        return is_final(self.status)

    @property
    def is_described(self) -> bool:
        """Say whether its manifest is known; where none was given, the check proposes one."""
        return "inputs" in self.manifest

    @property
    def is_waiting_for_team(self) -> bool:
        """Say whether it is checked and queues when the team has looked at its first picture."""
        return self.status == Status.QUEUED and self.is_held and self.not_before is not None

    @property
    def is_changeable(self) -> bool:
        """Say whether its manifest may be another one: no worker has begun to score it."""
        return self.status in CHANGEABLE and self.scored_at is None

    @property
    def failure(self) -> Failure | None:
        return Failure(self.failure_code, self.failure_facts) if self.failure_code else None

    def claim(self, target: Status, *, lease_expires_at: Combinable | datetime) -> bool:
        """Start an attempt (``target`` is CHECKING or RUNNING); return whether it is ours."""
        waiting = Submission.objects.waiting(
            Status.CHECKING if target == Status.CHECKING else Status.QUEUED
        )
        started = {"started_at": Now(), "is_held": False} if target == Status.RUNNING else {}
        return self._move(
            target,
            among=waiting,
            attempt=F("attempt") + 1,
            lease_expires_at=lease_expires_at,
            not_before=None,
            progress_done=0,
            progress_of=0,
            step="",
            **started,
        )

    def renew(self, *, lease_expires_at: Combinable | datetime, **progress: Any) -> bool:
        """Keep the lease; return False if this attempt no longer holds the row."""
        held = Submission.objects.held().filter(pk=self.pk, attempt=self.attempt)
        return held.update(lease_expires_at=lease_expires_at, **progress) == 1

    def report(self, target: Status, **changes: Any) -> bool:
        """Leave for ``target`` as the worker that holds the row; return False if it had lost it.

        A lease that ran out is lost, whether or not anybody has taken the row since.
        """
        held = Submission.objects.held()
        return self._move(target, among=held, lease_expires_at=None, **changes)

    def move(self, target: Status, **changes: Any) -> bool:
        """Take the row from whoever holds it; return False if another act came first."""
        return self._move(target, lease_expires_at=None, **changes)

    def restart(self) -> bool:
        """Have an ended submission done again; return False if another act came first.

        For organizers: workers leave a state by ``TRANSITIONS`` only.
        """
        moment = Now()
        is_checked = self.checked_at is not None or self.scored_at is not None
        return self._change(
            Submission.objects.filter(status__in=RESTARTABLE),
            status=Status.QUEUED if is_checked else Status.CHECKING,
            queued_at=moment if is_checked else None,
            failure_code="",
            failure_facts={},
            faults=0,
            not_before=None,
            dispatched_at=None,
            started_at=None,
            finished_at=None,
            step="",
            progress_done=0,
            progress_of=0,
        )

    def check_again(self, **changes: Any) -> bool:
        """Go back to the check with another manifest; return False if another act came first.

        For the team: workers leave a state by ``TRANSITIONS`` only. Whoever held the row loses it.
        """
        return self._change(
            Submission.objects.filter(status__in=CHANGEABLE, scored_at__isnull=True),
            status=Status.CHECKING,
            attempt=F("attempt") + 1,
            lease_expires_at=None,
            checked_at=None,
            queued_at=None,
            started_at=None,
            finished_at=None,
            failure_code="",
            failure_facts={},
            faults=0,
            not_before=None,
            dispatched_at=None,
            step="",
            progress_done=0,
            progress_of=0,
            **changes,
        )

    def release(self) -> bool:
        """Let a held submission queue now; return False if it was not held any more."""
        held = Submission.objects.filter(status=Status.QUEUED, is_held=True)
        return self._change(held, is_held=False, not_before=None, queued_at=Now())

    def keep_scores(self) -> bool:
        """End being scored again by what was found the first time; the earlier scores stand."""
        return self._change(
            Submission.objects.filter(status__in=SCORED_AGAIN, scored_at__isnull=False),
            status=Status.SCORED,
            lease_expires_at=None,
            failure_code="",
            failure_facts={},
            not_before=None,
            finished_at=Now(),
            step="",
        )

    def _move(
        self, target: Status, *, among: SubmissionQuerySet | None = None, **changes: Any
    ) -> bool:
        rows = Submission.objects.all() if among is None else among
        return self._change(rows.filter(status__in=sources_of(target)), status=target, **changes)

    def _change(self, rows: SubmissionQuerySet, **changes: Any) -> bool:
        # One conditional UPDATE: of two workers racing for a row exactly one sees it change,
        # on SQLite as on PostgreSQL. `attempt` fences off a worker that lost its lease.
        held = rows.filter(pk=self.pk, attempt=self.attempt)
        changed = held.update(status_changed_at=Now(), **changes) == 1
        if changed:  # a loser keeps its old attempt number, so it can never win later
            self.refresh_from_db()
        return changed


class TeamQuota(models.Model):
    """The row that is locked while a team's submissions to a phase are counted."""

    phase = models.ForeignKey(
        Phase, models.CASCADE, related_name="team_quotas", verbose_name=_("phase")
    )
    team = models.ForeignKey(Team, models.CASCADE, related_name="quotas", verbose_name=_("team"))
    extra_total = models.PositiveIntegerField(_("extra submissions"), default=0)

    class Meta:
        verbose_name = _("quota of a team")
        verbose_name_plural = _("quotas of teams")
        constraints = [
            models.UniqueConstraint(fields=["phase", "team"], name="team_quota_once_per_phase")
        ]

    def __str__(self) -> str:
        return f"{self.team} ({self.phase})"
