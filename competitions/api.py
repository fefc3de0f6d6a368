"""HTTP for competitions and leaderboards: look up, render. No rules live here."""

from typing import Any

from django.db.models import Count, Prefetch, QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from competitions.board import BoardRow, board_rows
from competitions.metric_texts import describe_metric
from competitions.models import Banner, Competition, LeaderboardEntry, Phase
from competitions.pairs_zip import send_pairs
from competitions.policies import may_see_outputs
from competitions.ranking import keep_finite


class CompetitionRow(serializers.ModelSerializer[Competition]):
    opens_at = serializers.DateTimeField(read_only=True)
    closes_at = serializers.DateTimeField(read_only=True)
    banner = serializers.SerializerMethodField()
    banner_alt = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Competition
        fields = [
            *("slug", "title", "summary", "banner", "banner_alt"),
            *("opens_at", "closes_at", "published_at", "links"),
        ]

    def get_banner(self, competition: Competition) -> str | None:
        found = _banner_of(competition)
        return found.get_absolute_url() if found else None

    def get_banner_alt(self, competition: Competition) -> str:
        found = _banner_of(competition)
        return found.alt if found else ""

    def get_links(self, competition: Competition) -> dict[str, str]:
        return {"self": reverse("api-competition", args=[competition.slug])}


def _banner_of(competition: Competition) -> Banner | None:
    return getattr(competition, "banner", None)


class PhaseOut(serializers.ModelSerializer[Phase]):
    metrics = serializers.SerializerMethodField()
    ranking = serializers.SerializerMethodField()
    quota = serializers.SerializerMethodField()
    image_size = serializers.IntegerField(source="reference_set.image_size")
    pairs = serializers.IntegerField(source="pair_count")
    reference_set_sha256 = serializers.CharField(source="reference_set.sha256")
    extractors = serializers.SerializerMethodField()
    recipe = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Phase
        fields = [
            "id",
            "name",
            "description",
            "opens_at",
            "closes_at",
            "is_open",
            "metrics",
            "ranking",
            "quota",
            "pairs_public",
            "pairs",
            "image_size",
            "max_checkpoint_bytes",
            "time_limit_s",
            "memory_limit_bytes",
            "reference_set_sha256",
            "extractors",
            "uses_surrogates",
            "recipe",
            "links",
        ]

    def get_metrics(self, phase: Phase) -> list[dict[str, str]]:
        return [
            {"key": text.key, "title": str(text.title), "direction": text.direction}
            for text in map(describe_metric, phase.recipe.as_value().measured)
        ]

    def get_ranking(self, phase: Phase) -> dict[str, str]:
        return {"metric": phase.ranking_metric, "direction": phase.ranking_direction}

    def get_quota(self, phase: Phase) -> dict[str, int | None]:
        return {
            "per_day": phase.quota_per_day,
            "total": phase.quota_total,
            "concurrent": phase.quota_concurrent,
            "free_failures": phase.free_failures,
        }

    def get_extractors(self, phase: Phase) -> dict[str, dict[str, str]]:
        return {role: pin.to_json() for role, pin in phase.extractors.items()}

    def get_recipe(self, phase: Phase) -> dict[str, Any]:
        return {**phase.recipe.as_value().to_json(), "sha256": phase.recipe.sha256}

    def get_links(self, phase: Phase) -> dict[str, str]:
        links = {
            "submissions": reverse("api-phase-submissions", args=[phase.pk]),
            "leaderboard": reverse("api-leaderboard", args=[phase.pk]),
        }
        if phase.pairs_public:
            links["pairs"] = reverse("api-phase-pairs", args=[phase.pk])
        return links


class CompetitionOut(CompetitionRow):
    phases = PhaseOut(many=True)

    class Meta(CompetitionRow.Meta):
        fields = [*CompetitionRow.Meta.fields, "description", "phases"]


class BoardRowOut(serializers.Serializer[BoardRow]):
    """A row of a board; an unranked one has ``rank`` null and a ``reason``."""

    rank = serializers.IntegerField(allow_null=True)
    team = serializers.SerializerMethodField()
    submission = serializers.UUIDField(source="entry.submission_id")
    is_baseline = serializers.BooleanField(source="entry.team.is_baseline")
    scores = serializers.SerializerMethodField()
    submitted_at = serializers.DateTimeField(source="entry.submitted_at")
    reason = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    def get_team(self, row: BoardRow) -> dict[str, Any]:
        return {"id": row.entry.team.pk, "name": row.entry.team.name}

    def get_scores(self, row: BoardRow) -> Any:
        return keep_finite(row.entry.scores)

    def get_reason(self, row: BoardRow) -> dict[str, str] | None:
        entry: LeaderboardEntry = row.entry
        if not entry.unranked_reason:
            return None
        return {"code": entry.unranked_reason, "detail": entry.get_unranked_reason_display()}

    def get_links(self, row: BoardRow) -> dict[str, str]:
        return {"submission": reverse("api-submission", args=[row.entry.submission_id])}


class CompetitionList(generics.ListAPIView[Competition]):
    serializer_class = CompetitionRow

    def get_queryset(self) -> QuerySet[Competition]:
        return (
            Competition.objects.visible_to(self.request.user).with_dates().select_related("banner")
        )


class CompetitionDetail(generics.RetrieveAPIView[Competition]):
    serializer_class = CompetitionOut
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Competition]:
        phases = (
            Phase.objects.select_related("recipe", "reference_set")
            .annotate(pair_count=Count("reference_set__pairs"))
            .order_by("position", "opens_at")
        )
        visible = Competition.objects.visible_to(self.request.user)
        return (
            visible.with_dates()
            .select_related("banner")
            .prefetch_related(Prefetch("phases", phases))
        )


class Leaderboard(generics.GenericAPIView[Phase]):
    """The ranked board of a phase, page by page."""

    def get(self, request: Request, phase_id: int) -> Response:
        phase = get_object_or_404(Phase.objects.visible_to(request.user), pk=phase_id)
        page = self.paginate_queryset(board_rows(phase)) or []
        return self.get_paginated_response([BoardRowOut(row).data for row in page])


class PhasePairs(APIView):
    """The pairs of a phase with its recipe, as a zip."""

    def get(self, request: Request, phase_id: int) -> HttpResponseBase:
        phases = Phase.objects.visible_to(request.user)
        related = phases.select_related("competition", "recipe", "reference_set")
        phase = get_object_or_404(related, pk=phase_id)
        if not may_see_outputs(request.user, phase):
            raise Http404
        return send_pairs(request, phase)
