"""HTTP for what workers found: one submission with its scores, card and pictures."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from competitions.pictures import serve_png
from competitions.policies import is_organizer, may_see_outputs
from competitions.ranking import keep_finite
from evaluation.hint_texts import questions_of
from evaluation.models import EvaluationRun, FirstPicture, ImageScore, Output
from evaluation.queues import waits_in_vain
from evaluation.score_cards import readable_parts
from submissions.api import SubmissionOut
from submissions.fitting import fitting_manifest
from submissions.models import Submission

CHECK_PICTURES = ("content", "style", "picture")
MEASURED = ("parameters", "needed_bytes", "peak_bytes")

# What a page too shows to the team and the organizers only; the score card names the file's hash.
FOR_MANAGERS = ("file_name", "size_bytes", "manifest", "proposal", "check", "fitting_manifest")


class SubmissionDetailOut(SubmissionOut):
    """A submission with what was found; what the viewer may not see is null."""

    scores = serializers.SerializerMethodField()
    card = serializers.SerializerMethodField()
    check = serializers.SerializerMethodField()
    fitting_manifest = serializers.SerializerMethodField()
    outputs = serializers.SerializerMethodField()
    log = serializers.SerializerMethodField()
    no_worker_online = serializers.SerializerMethodField()

    class Meta(SubmissionOut.Meta):
        fields = [
            *SubmissionOut.Meta.fields,
            *("no_worker_online", "check", "fitting_manifest", "scores", "card", "outputs", "log"),
        ]

    def to_representation(self, submission: Submission) -> dict[str, Any]:
        self.run = submission.runs.that_count().prefetch_related("scores").first()
        user = self.context["request"].user
        self.shows_images = may_see_outputs(user, submission.phase)
        self.is_organizer = is_organizer(user, submission.phase.competition)
        manageable = Submission.objects.manageable_by(user)
        self.is_manager = manageable.filter(pk=submission.pk).exists()
        body = super().to_representation(submission)
        if not self.is_manager:
            body |= dict.fromkeys(FOR_MANAGERS)
        return body

    def get_no_worker_online(self, submission: Submission) -> bool:
        """Say whether it has waited for two minutes with nobody there to take it."""
        return waits_in_vain(submission)

    def get_scores(self, submission: Submission) -> dict[str, Any]:
        if self.run is None:
            return {}
        return {
            score.metric: keep_finite({"value": score.value, "low": score.low, "high": score.high})
            for score in self.run.scores.all()
        }

    def get_card(self, submission: Submission) -> Any:
        if self.run is None or self.run.card is None:
            return None
        address = reverse("score-card-schema")
        parts = readable_parts(
            self.run.card,
            may_see_pairs=self.shows_images,
            is_organizer=self.is_organizer,
            schema_url=self.context["request"].build_absolute_uri(address),
        )
        return keep_finite(parts)

    def get_check(self, submission: Submission) -> dict[str, Any] | None:
        if not self.is_manager:
            return None
        first = FirstPicture.objects.filter(run__submission=submission).first()
        return describe_check(submission, first) if first else None

    def get_fitting_manifest(self, submission: Submission) -> dict[str, Any] | None:
        found = fitting_manifest(submission) if self.is_manager else None
        return found.model_dump(mode="json") if found else None

    def get_outputs(self, submission: Submission) -> list[dict[str, Any]] | None:
        if not self.shows_images:
            return None
        return list_outputs(self.run) if self.run else []

    def get_log(self, submission: Submission) -> str | None:
        if not self.is_manager:
            return None
        last = submission.runs.order_by("-attempt").first()
        return last.log if last else ""


class SubmissionDetail(generics.RetrieveAPIView[Submission]):
    serializer_class = SubmissionDetailOut

    def get_queryset(self) -> QuerySet[Submission]:
        return Submission.objects.visible_to(self.request.user).for_listing()


class CheckPicture(APIView):
    """What a check was made of, or has made, as a PNG."""

    def get(self, request: Request, pk: str, which: str) -> HttpResponseBase:
        submission = get_object_or_404(Submission.objects.manageable_by(request.user), pk=pk)
        first = get_object_or_404(FirstPicture, run__submission=submission)
        file = {name: getattr(first, name) for name in CHECK_PICTURES}.get(which)
        if not file:
            raise Http404
        return serve_png(request, file, version=f"check-{first.pk}-{which}", is_final=False)


def describe_check(submission: Submission, first: FirstPicture) -> dict[str, Any]:
    """Return where the pictures of a check are, and what they suggest."""
    addresses = {
        name: reverse("api-check-picture", args=[submission.pk, name])
        if getattr(first, name)
        else None
        for name in CHECK_PICTURES
    }
    hints = [question.to_json() for question in questions_of(first.hints)]
    memory = {name: first.measured.get(name) or None for name in MEASURED}
    return {**addresses, "is_test_card": first.is_test_card, "hints": hints, **memory}


class OutputPicture(APIView):
    """The picture a generator made for one pair, as a PNG."""

    def get(self, request: Request, pk: str, position: int) -> HttpResponseBase:
        visible = Submission.objects.visible_to(request.user).select_related("phase__competition")
        submission = get_object_or_404(visible, pk=pk)
        kept = Output.objects.exclude(file="")
        rows = kept.filter(run__in=submission.runs.that_count(), pair__position=position)
        if not may_see_outputs(request.user, submission.phase):
            rows = rows.none()
        output = get_object_or_404(rows)
        return serve_png(request, output.file, version=f"output-{output.pk}", is_final=False)


def list_outputs(run: EvaluationRun) -> list[dict[str, Any]]:
    """Describe each pair's picture with the values measured on it."""
    values: dict[int, dict[str, float | None]] = {}
    for row in ImageScore.objects.filter(run=run):
        values.setdefault(row.pair_id, {})[row.metric] = keep_finite(row.value)
    rows = run.outputs.select_related("pair__content", "pair__style").order_by("pair__position")
    return [
        {
            "position": output.pair.position,
            "content": output.pair.content.name,
            "style": output.pair.style.name,
            "scores": values.get(output.pair_id, {}),
            "url": reverse("api-output", args=[run.submission_id, output.pair.position])
            if output.file
            else None,
        }
        for output in rows
    ]
