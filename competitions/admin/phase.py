"""The page of a phase: when, what is scored, how it is ranked, and limits."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from competitions.admin.base import OrganizerAdmin
from competitions.admin.phase_form import SCORING, PhaseForm, metric_choices
from competitions.models import Phase
from competitions.networks import Networks, networks_of

_FIXED = _(
    "There are submissions, so what scores depend on is fixed: change it and equal pictures would "
    "get other scores. Make another phase instead."
)


@admin.register(Phase)
class PhaseAdmin(OrganizerAdmin[Phase]):
    position = 20
    form = PhaseForm
    list_display = ("name", "competition", "opens_at", "closes_at", "is_open", "submission_count")
    list_filter = ("competition",)
    search_fields = ("name", "competition__title")
    list_select_related = ("competition",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Phase]:
        return super().get_queryset(request).annotate(submissions_in=Count("submissions"))

    @admin.display(description=_("open"), boolean=True)
    def is_open(self, phase: Phase) -> bool:
        return phase.is_open

    @admin.display(description=_("submissions"), ordering="submissions_in")
    def submission_count(self, phase: Any) -> int:
        counted: int = phase.submissions_in
        return counted

    def get_fieldsets(self, request: HttpRequest, obj: Phase | None = None) -> Any:
        what = {
            "description": _(
                "Its pictures and its recipe. The reference set is fixed for ever with the first "
                "submission."
            ),
            "fields": ("reference_set", "recipe", "networks"),
        }
        ranking: dict[str, Any] = {"fields": ("ranking_metric",)}
        if obj is not None and has_submissions(obj):
            what = {"description": _FIXED, "fields": ("reference_set", "recipe", "networks_shown")}
            ranking = {"fields": ("ranking_metric_shown",)}
        shown = {
            "description": _(
                "With public pairs everybody may download them and see every output. Otherwise "
                "pictures and values per picture are for organizers only."
            ),
            "fields": ("pairs_public", "board_pair_position"),
        }
        limits = {
            "description": _(
                "Per team. A submission that the platform itself failed never counts."
            ),
            "fields": ("quota_per_day", "quota_total", "quota_concurrent", "free_failures"),
        }
        machine = {
            "description": _("Per submission. The time is that of all pairs together."),
            "fields": ("workers", "time_limit_s", "memory_limit_mib", "max_checkpoint_mib"),
        }
        return (
            (None, {"fields": ("competition", "name", "position", "description")}),
            (_("When"), {"fields": ("opens_at", "closes_at")}),
            (_("What is scored"), what),
            (_("How it is ranked"), ranking),
            (_("Who sees the pictures"), shown),
            (_("How often"), limits),
            (_("How large, how long"), machine),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Phase | None = None) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        if obj is None or not has_submissions(obj):
            return fields
        return [*fields, *SCORING, "networks_shown", "ranking_metric_shown"]

    def get_form(
        self, request: HttpRequest, obj: Phase | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        # Declared fields are in the form whatever is read-only: take them out of this copy.
        if obj is not None and has_submissions(obj):
            for name in SCORING:
                form.base_fields.pop(name, None)
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        competition = str(initial.get("competition", ""))
        if competition.isdecimal():
            earlier = self.get_queryset(request).filter(competition=int(competition))
            initial.setdefault("position", earlier.count() + 1)
        return initial

    @admin.display(description=_("networks"))
    def networks_shown(self, phase: Phase) -> str:
        return str(Networks(networks_of(phase)).label)

    @admin.display(description=_("ranked by"))
    def ranking_metric_shown(self, phase: Phase) -> str:
        return metric_choices([phase.ranking_metric])[0][1]

    def has_delete_permission(self, request: HttpRequest, obj: Phase | None = None) -> bool:
        if obj is not None and has_submissions(obj):
            return False
        return super().has_delete_permission(request, obj)


def has_submissions(phase: Phase) -> bool:
    return phase.submissions.exists()
