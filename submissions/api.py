"""HTTP for submissions: parse, call the service, render. No rules live here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from rest_framework import generics, serializers, status
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from competitions.errors import Invalid, TooLarge
from competitions.models import Phase
from competitions.people import User
from competitions.policies import require_can_submit
from submissions import describing, services
from submissions.models import Submission, Upload
from submissions.throttles import LengthRequired, UploadThrottle
from submissions.uploads.beginning import find
from submissions.waiting import QueuePlace, place_of, places_of

# What a request may hold besides the checkpoint: the manifest and the parts' headers.
ENVELOPE_BYTES = 2**20
LARGEST_MANIFEST_BYTES = 2**16


class SubmissionOut(serializers.ModelSerializer[Submission]):
    """A submission without its scores, which stand above this layer."""

    competition = serializers.CharField(source="phase.competition.slug")
    phase = serializers.SerializerMethodField()
    team = serializers.SerializerMethodField()
    failure = serializers.SerializerMethodField()
    held_until = serializers.SerializerMethodField()
    queue_position = serializers.SerializerMethodField()
    expected_start = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Submission
        fields = [
            "id",
            "competition",
            "phase",
            "team",
            "status",
            "failure",
            "queue_position",
            "expected_start",
            "step",
            "progress",
            "file_name",
            "size_bytes",
            "sha256",
            "manifest",
            "proposal",
            "held_until",
            "created_at",
            "started_at",
            "finished_at",
            "links",
        ]

    def to_representation(self, submission: Submission) -> dict[str, Any]:
        # A listing has looked up the places of all its rows at once.
        known: dict[UUID, QueuePlace | None] | None = self.context.get("places")
        self.place = place_of(submission) if known is None else known[submission.pk]
        return super().to_representation(submission)

    def get_phase(self, submission: Submission) -> dict[str, Any]:
        return {"id": submission.phase_id, "name": submission.phase.name}

    def get_team(self, submission: Submission) -> dict[str, Any]:
        return {"id": submission.team_id, "name": submission.team.name}

    def get_failure(self, submission: Submission) -> dict[str, str] | None:
        return submission.failure.to_json() if submission.failure else None

    def get_held_until(self, submission: Submission) -> datetime | None:
        return submission.not_before if submission.is_waiting_for_team else None

    def get_queue_position(self, submission: Submission) -> int | None:
        return self.place.position if self.place else None

    def get_expected_start(self, submission: Submission) -> datetime | None:
        return self.place.expected_start if self.place else None

    def get_progress(self, submission: Submission) -> dict[str, int]:
        return {"done": submission.progress_done, "of": submission.progress_of}

    def get_links(self, submission: Submission) -> dict[str, str]:
        return {
            "self": reverse("api-submission", args=[submission.pk]),
            "manifest": reverse("api-submission-manifest", args=[submission.pk]),
            "release": reverse("api-submission-release", args=[submission.pk]),
            "cancel": reverse("api-submission-cancel", args=[submission.pk]),
            "leaderboard": reverse("api-leaderboard", args=[submission.phase_id]),
            "page": submission.get_absolute_url(),
        }


class PhaseSubmissions(generics.ListAPIView[Submission]):
    """List my team's submissions to a phase, or enter a new one.

    That is a multipart form with the file, or JSON that names an upload which is complete.
    """

    serializer_class = SubmissionOut
    permission_classes = [IsAuthenticated]
    parser_classes = [MultiPartParser, JSONParser]

    def get_authenticators(self) -> list[BaseAuthentication]:
        # The CSRF check of a session reads the whole body, before anything can be refused.
        found = super().get_authenticators()
        if self.request is not None and self.request.method == "POST":
            return [each for each in found if not isinstance(each, SessionAuthentication)]
        return found

    def get_throttles(self) -> list[BaseThrottle]:
        # An upload that is submitted by its name was counted when it began.
        is_upload = self.request.method == "POST" and not is_json(self.request)
        return [*super().get_throttles(), *([UploadThrottle()] if is_upload else [])]

    def get_queryset(self) -> QuerySet[Submission]:
        user = cast(User, self.request.user)
        phase = get_object_or_404(Phase.objects.visible_to(user), pk=self.kwargs["phase_id"])
        return phase.submissions.filter(team__participants__user=user).for_listing()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        context = {**self.get_serializer_context(), "places": places_of(page)}
        return self.get_paginated_response(SubmissionOut(page, many=True, context=context).data)

    def post(self, request: Request, phase_id: int) -> Response:
        user = cast(User, request.user)
        visible = Phase.objects.visible_to(user).select_related("competition")
        phase = get_object_or_404(visible, pk=phase_id)
        # Nothing has been read of the body yet: refuse first what its content can't change.
        require_can_submit(user, phase=phase, at=now())
        checkpoint: UploadedFile[bytes] | Upload
        if is_json(request):
            require_short(request.META)
            checkpoint, manifest = upload_in(request), json_manifest_in(request)
        else:
            require_fitting_length(request.META, phase)
            checkpoint, manifest = checkpoint_in(request), manifest_in(request)
        submission = services.submit(
            by=user,
            phase=phase,
            checkpoint=checkpoint,
            manifest=manifest,
            hold=hold_in(_object_in(request)),
        )
        body = SubmissionOut(submission).data
        return Response(body, status.HTTP_201_CREATED, headers={"Location": body["links"]["self"]})


class ChangeManifest(generics.GenericAPIView[Submission]):
    """Check the same file again by another manifest, while no worker has begun to score it."""

    permission_classes = [IsAuthenticated]
    parser_classes = [JSONParser]

    def post(self, request: Request, pk: str) -> Response:
        user = cast(User, request.user)
        visible = Submission.objects.visible_to(user).for_listing()
        submission = get_object_or_404(visible, pk=pk)
        describing.require_own(submission, user)
        body = _object_in(request)
        manifest = services.read_manifest(body.get("manifest"))
        describing.change_manifest(submission, manifest, by=user, hold=hold_in(body))
        return Response(SubmissionOut(submission).data)


class ReleaseSubmission(generics.GenericAPIView[Submission]):
    """Let a submission queue whose first picture was waited for."""

    permission_classes = [IsAuthenticated]

    def post(self, request: Request, pk: str) -> Response:
        user = cast(User, request.user)
        visible = Submission.objects.visible_to(user).for_listing()
        submission = get_object_or_404(visible, pk=pk)
        describing.release(submission, by=user)
        return Response(SubmissionOut(submission).data)


class CancelSubmission(generics.GenericAPIView[Submission]):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, pk: str) -> Response:
        user = cast(User, request.user)
        visible = Submission.objects.visible_to(user).for_listing()
        submission = get_object_or_404(visible, pk=pk)
        services.cancel(submission, by=user)
        return Response(SubmissionOut(submission).data)


def is_json(request: Request) -> bool:
    return (request.content_type or "").partition(";")[0].strip() == "application/json"


def require_short(headers: Mapping[str, Any]) -> None:
    """Refuse more JSON than a manifest needs."""
    length = _length_in(headers)
    if length > 2 * LARGEST_MANIFEST_BYTES:
        raise TooLarge("too_large", _("A text field of the request is too long."))


def upload_in(request: Request) -> Upload:
    """Return the upload that the JSON names."""
    named = request.data.get("upload") if isinstance(request.data, dict) else None
    try:
        return find(cast(User, request.user), UUID(str(named)))
    except (ValueError, Upload.DoesNotExist) as error:
        detail = _("Name one of your uploads for this phase: `upload` is its id.")
        raise Invalid("unknown_upload", detail) from error


def json_manifest_in(request: Request) -> Any:
    """Return the manifest of a JSON request, an object or a text that holds one.

    None to have it proposed.
    """
    return request.data.get("manifest") if isinstance(request.data, dict) else None


def _object_in(request: Request) -> Mapping[str, Any]:
    body: Any = request.data
    return body if isinstance(body, Mapping) else {}


def hold_in(body: Mapping[str, Any]) -> bool:
    """Tell whether the team wants to look at the first picture before it queues."""
    return str(body.get("hold", "")).lower() in {"1", "true", "yes", "on"}


def require_fitting_length(headers: Mapping[str, Any], phase: Phase) -> None:
    """Refuse by its headers a request that holds more than the phase takes.

    Raises:
        LengthRequired: it does not say how long it is.
        TooLarge: the checkpoint in it can't be small enough.
    """
    length = _length_in(headers)
    if length > phase.max_checkpoint_bytes + ENVELOPE_BYTES:
        raise TooLarge(
            "too_large",
            _("The request has %(size)d bytes; this phase takes checkpoints of at most %(limit)d.")
            % {"size": length, "limit": phase.max_checkpoint_bytes},
            limit=phase.max_checkpoint_bytes,
            size=length,
        )


def _length_in(headers: Mapping[str, Any]) -> int:
    length = str(headers.get("CONTENT_LENGTH") or "")
    if not length.isdecimal():
        raise LengthRequired(_("Say how long the request is, with Content-Length."))
    return int(length)


def checkpoint_in(request: Request) -> UploadedFile[bytes]:
    checkpoint = request.FILES.get("checkpoint")
    if not isinstance(checkpoint, UploadedFile):
        raise Invalid(
            "checkpoint_missing",
            _("Send the generator's file as the part `checkpoint` of a multipart form."),
        )
    return checkpoint


def manifest_in(request: Request) -> str | bytes | None:
    """Return the manifest's JSON, sent as a text field or as a file; None to have it proposed."""
    text = request.POST.get("manifest", "")
    if (file := request.FILES.get("manifest")) is not None:
        text = file.read(LARGEST_MANIFEST_BYTES + 1)
    if len(text) > LARGEST_MANIFEST_BYTES:
        raise Invalid(
            "bad_manifest",
            _("The manifest has more than %(limit)d bytes.") % {"limit": LARGEST_MANIFEST_BYTES},
        )
    return text if text.strip() else None
