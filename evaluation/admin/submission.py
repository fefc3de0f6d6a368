"""The pages of submissions: what happened to each, and what an organizer can do about it."""

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from competitions.admin.base import OrganizerAdmin, person
from competitions.errors import DomainError
from evaluation import gallery, organizing
from evaluation.field import flagged
from evaluation.flag_texts import flag_lines
from evaluation.models import EvaluationRun
from submissions.models import Exclusion, Submission
from submissions.states import RESTARTABLE, Status, sources_of

Act = Callable[..., None]

ACTS: dict[str, Act] = {
    "restart": organizing.restart,
    "hide": lambda row, **who: organizing.exclude(row, Exclusion.HIDDEN, **who),
    "disqualify": lambda row, **who: organizing.exclude(row, Exclusion.DISQUALIFIED, **who),
    "reinstate": organizing.reinstate,
    "cancel": organizing.stop,
}
LABELS = {
    "restart": _("Start again"),
    "hide": _("Hide"),
    "disqualify": _("Disqualify"),
    "reinstate": _("Reinstate"),
    "cancel": _("Cancel"),
}
HELP = {
    "restart": _("It is checked or scored once more; until then the board keeps its place."),
    "hide": _("Off the board, and only its team and the organizers see it."),
    "disqualify": _("Off the board; its page stays and says why."),
    "reinstate": _("It counts again."),
    "cancel": _("It is not worked on any more."),
}


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=organizing.REASON_LENGTH,
        help_text=_("Kept in the history. The team reads why it was hidden or disqualified."),
    )


def possible_acts(submission: Submission) -> list[str]:
    """Name what can be done about a submission as it is now."""
    acts = []
    if submission.status in RESTARTABLE:
        acts.append("restart")
    if submission.status in sources_of(Status.CANCELLED):
        acts.append("cancel")
    acts += [
        act
        for act, kind in (("hide", Exclusion.HIDDEN), ("disqualify", Exclusion.DISQUALIFIED))
        if submission.exclusion != kind
    ]
    if submission.exclusion:
        acts.append("reinstate")
    return acts


class NoticedFilter(admin.SimpleListFilter):
    """Finds submissions of which organizers are told that something looks odd."""

    title = _("what was noticed")
    parameter_name = "noticed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", gettext("something")), ("no", gettext("nothing"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"yes", "no"}:
            return queryset
        odd = Q(pk__in=flagged(queryset))
        return queryset.filter(odd if self.value() == "yes" else ~odd)


@admin.register(Submission)
class SubmissionAdmin(OrganizerAdmin[Submission]):
    competition_path = "phase__competition"
    position = 10
    change_form_template = "admin/submissions/submission.html"
    list_display = (
        "file_name",
        "team",
        "phase_name",
        "status",
        "exclusion",
        "created_at",
        "has_namesake",
    )
    list_filter = (
        "phase__competition",
        "phase",
        "status",
        "exclusion",
        "team__is_baseline",
        NoticedFilter,
    )
    list_select_related = ("team", "phase__competition")
    search_fields = ("file_name", "team__name", "sha256", "submitted_by__username", "pk")
    ordering = ("-created_at", "pk")
    fields = readonly_fields = ("file_name",)  # the template shows all there is to know
    actions = ("restart_chosen", "hide_chosen", "disqualify_chosen", "reinstate_chosen")

    class Media:
        css = {"all": ["css/reference-set.css"]}

    # --- The list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        others = Submission.objects.filter(
            phase__competition=OuterRef("phase__competition"), sha256=OuterRef("sha256")
        ).exclude(team=OuterRef("team"))
        return super().get_queryset(request).annotate(is_equal_elsewhere=Exists(others))

    @admin.display(description=_("phase"), ordering="phase__name")
    def phase_name(self, submission: Submission) -> str:
        return str(submission.phase)

    @admin.display(description=_("same file"))
    def has_namesake(self, submission: Any) -> str:
        return gettext("also from another team") if submission.is_equal_elsewhere else ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Submission | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Submission | None = None) -> bool:
        return False

    # --- Several at once ------------------------------------------------------------------------
    @admin.action(description=_("Start the chosen ones again"))
    def restart_chosen(self, request: HttpRequest, chosen: QuerySet[Submission]) -> Any:
        return self._act_on(request, chosen, "restart")

    @admin.action(description=_("Hide the chosen ones"))
    def hide_chosen(self, request: HttpRequest, chosen: QuerySet[Submission]) -> Any:
        return self._act_on(request, chosen, "hide")

    @admin.action(description=_("Disqualify the chosen ones"))
    def disqualify_chosen(self, request: HttpRequest, chosen: QuerySet[Submission]) -> Any:
        return self._act_on(request, chosen, "disqualify")

    @admin.action(description=_("Reinstate the chosen ones"))
    def reinstate_chosen(self, request: HttpRequest, chosen: QuerySet[Submission]) -> Any:
        return self._act_on(request, chosen, "reinstate")

    def _act_on(self, request: HttpRequest, chosen: QuerySet[Submission], act: str) -> Any:
        """Ask for the reason first; then act on each, and say which could not be acted on."""
        rows = list(chosen.select_related("team__competition", "phase__competition"))
        form = ReasonForm(request.POST if "with_reason" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": LABELS[act],
                "help": HELP[act],
                "rows": rows,
                "form": form,
                "action": f"{act}_chosen",
            }
            return TemplateResponse(request, "admin/submissions/reason.html", context)
        done = 0
        for row in rows:
            try:
                ACTS[act](row, by=person(request), reason=form.cleaned_data["reason"])
            except DomainError as error:
                self.message_user(request, f"{row.file_name}: {error.detail}", messages.WARNING)
            else:
                done += 1
        if done:
            said = ngettext("Done for %(count)d submission", "Done for %(count)d submissions", done)
            self.message_user(request, said % {"count": done}, messages.SUCCESS)
        return None

    # --- The page -----------------------------------------------------------------------------
    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Submission | None = None,
    ) -> HttpResponse:
        if obj is not None:
            run = gallery.scoring_run(obj)
            context |= {
                "submission": obj,
                "runs": list(EvaluationRun.objects.filter(submission=obj).order_by("-attempt")),
                "lines": gallery.score_lines(run) if run else [],
                "flags": flag_lines(run),
                "namesakes": [
                    row
                    for row in organizing.namesakes([obj])[obj.sha256]
                    if row.team_id != obj.team_id
                ],
                "acts": [(act, LABELS[act], HELP[act]) for act in possible_acts(obj)],
                "reason_form": ReasonForm(),
                "manifest": json.dumps(obj.manifest, indent=2),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def heading(self, row: Submission) -> str:
        return row.file_name

    def get_urls(self) -> list[URLPattern]:
        download = path(
            "<path:object_id>/checkpoint/",
            self.admin_site.admin_view(require_safe(self.checkpoint_view)),
            name="submissions_submission_checkpoint",
        )
        return [self.button_url("act", self.act_view), download, *super().get_urls()]

    def act_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_visible_or_404(request, object_id)
        act, form = request.POST.get("act", ""), ReasonForm(request.POST)
        if act not in ACTS:
            self.message_user(request, gettext("Choose what to do."), messages.ERROR)
        elif not form.is_valid():
            said = gettext("Say why: the reason is kept in the history.")
            self.message_user(request, said, messages.ERROR)
        else:
            try:
                ACTS[act](row, by=person(request), reason=form.cleaned_data["reason"])
            except DomainError as error:
                self.message_user(request, str(error.detail), messages.ERROR)
            else:
                said = gettext("Done: %(act)s") % {"act": LABELS[act]}
                self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(self.address(row))

    def checkpoint_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Hand out the file as it was uploaded: to be kept, never to be opened by a browser."""
        row = self.get_visible_or_404(request, object_id)
        try:
            file = row.checkpoint.open("rb")
        except FileNotFoundError:
            raise Http404 from None
        response = FileResponse(
            file,
            as_attachment=True,
            filename=row.file_name,
            content_type="application/octet-stream",
        )
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'"
        response["Cache-Control"] = "private, no-store"
        return response
