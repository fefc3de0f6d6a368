"""Runs as workers recorded them; nobody changes them."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions.admin.base import OrganizerAdmin
from competitions.admin.lists import plain_list
from competitions.templatetags.scores import NOTHING, duration
from evaluation.flag_texts import flag_lines
from evaluation.models import EvaluationRun
from evaluation.templatetags.steps import step_name


@admin.register(EvaluationRun)
class RunAdmin(OrganizerAdmin[EvaluationRun]):
    competition_path = "submission__phase__competition"
    position = 20
    list_display = (
        "number",
        "team",
        "phase",
        "stage",
        "outcome",
        "started_at",
        "took",
        "worker",
    )
    list_filter = ("stage", "outcome", "submission__phase", "worker")
    list_select_related = ("submission__team", "submission__phase__competition")
    search_fields = ("submission__team__name", "submission__file_name", "worker", "log")
    ordering = ("-started_at", "-pk")
    fields = (
        "submission_link",
        "attempt",
        "stage",
        "outcome",
        "worker",
        "started_at",
        "finished_at",
        "took",
        "steps_shown",
        "versions_shown",
        "flags_shown",
        "log_shown",
        "card_shown",
    )

    class Media:
        css = {"all": ["css/reference-set.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: EvaluationRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: EvaluationRun | None = None) -> bool:
        return False

    def get_readonly_fields(
        self, request: HttpRequest, obj: EvaluationRun | None = None
    ) -> list[Any]:
        return list(self.fields)

    def heading(self, row: EvaluationRun) -> str:
        said = gettext("Attempt %(number)d: %(kind)s")
        return said % {"number": row.attempt, "kind": row.get_stage_display()}

    @admin.display(description=_("run"), ordering="pk")
    def number(self, run: EvaluationRun) -> str:
        return f"#{run.pk}"

    @admin.display(description=_("team"), ordering="submission__team__name")
    def team(self, run: EvaluationRun) -> str:
        return run.submission.team.name

    @admin.display(description=_("phase"))
    def phase(self, run: EvaluationRun) -> str:
        return run.submission.phase.name

    @admin.display(description=_("time taken"))
    def took(self, run: EvaluationRun) -> str:
        if run.finished_at is None:
            return duration(None)
        return duration((run.finished_at - run.started_at).total_seconds())

    @admin.display(description=_("submission"))
    def submission_link(self, run: EvaluationRun) -> SafeString:
        url = reverse("admin:submissions_submission_change", args=[run.submission_id])
        name = run.submission.file_name
        return format_html('<a href="{}">{}: {}</a>', url, run.submission.team, name)

    @admin.display(description=_("time of each step"))
    def steps_shown(self, run: EvaluationRun) -> SafeString:
        rows = [(step_name(step), duration(seconds)) for step, seconds in run.steps.items()]
        lines = format_html_join("", "<li>{}: {}</li>", rows)
        return plain_list(lines)

    @admin.display(description=_("versions"))
    def versions_shown(self, run: EvaluationRun) -> SafeString:
        return _pre(json.dumps(run.versions, indent=2, sort_keys=True))

    @admin.display(description=_("what was noticed"))
    def flags_shown(self, run: EvaluationRun) -> SafeString:
        lines = format_html_join("", "<li>{}</li>", [(line,) for line in flag_lines(run)])
        return plain_list(lines)

    @admin.display(description=_("log"))
    def log_shown(self, run: EvaluationRun) -> SafeString:
        return _pre(run.log)

    @admin.display(description=_("score card"))
    def card_shown(self, run: EvaluationRun) -> SafeString:
        return _pre("" if run.card is None else json.dumps(run.card, indent=2))


def _pre(text: str) -> SafeString:
    return format_html('<pre class="listing" tabindex="0">{}</pre>', text or NOTHING)
