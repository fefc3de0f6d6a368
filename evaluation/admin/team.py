"""The pages of teams and participants: names, members, extra submissions, disqualification."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from competitions.admin.base import OrganizerAdmin, person
from competitions.errors import DomainError
from competitions.models import Participant, Phase, Team
from competitions.teams import require_free_name
from evaluation import organizing
from evaluation.admin.submission import ReasonForm
from submissions import quota
from submissions.models import Exclusion, Submission


class TeamForm(forms.ModelForm[Team]):
    class Meta:
        model = Team
        fields = ["name", "is_baseline"]
        help_texts = {"is_baseline": _("Marked on the board as a generator to compare with.")}

    def clean_name(self) -> str:
        try:
            return require_free_name(
                self.instance.competition, self.cleaned_data["name"], besides=self.instance
            )
        except DomainError as error:
            raise forms.ValidationError(str(error.detail)) from error


class _PhaseField(forms.ModelChoiceField[Phase]):
    def label_from_instance(self, obj: Phase) -> str:
        return obj.name  # the team's competition goes without saying


class GrantForm(ReasonForm):
    phase = _PhaseField(label=_("Phase"), queryset=Phase.objects.none())
    more = forms.IntegerField(
        label=_("Extra submissions"), min_value=1, max_value=organizing.MOST_EXTRA, initial=1
    )
    field_order = ["phase", "more", "reason"]

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = gettext("Kept in the history.")
        phase = self.fields["phase"]
        assert isinstance(phase, _PhaseField)  # noqa: S101 - see above
        phase.queryset = Phase.objects.filter(competition=team.competition_id)


@admin.register(Team)
class TeamAdmin(OrganizerAdmin[Team]):
    position = 60
    form = TeamForm
    change_form_template = "admin/competitions/team.html"
    list_display = ("name", "competition", "member_count", "submission_count", "kind")
    list_filter = ("competition", "is_baseline")
    list_select_related = ("competition",)
    search_fields = ("name", "participants__user__username", "participants__user__email")
    ordering = ("competition", "name")
    fields = ("competition", "name", "is_baseline")

    class Media:
        css = {"all": ["css/reference-set.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                members_in=Count("participants", distinct=True),
                submissions_in=Count("submissions", distinct=True),
            )
        )

    @admin.display(description=_("members"), ordering="members_in")
    def member_count(self, team: Any) -> int:
        counted: int = team.members_in
        return counted

    @admin.display(description=_("submissions"), ordering="submissions_in")
    def submission_count(self, team: Any) -> int:
        counted: int = team.submissions_in
        return counted

    @admin.display(description=_("kind"), ordering="is_baseline")
    def kind(self, team: Team) -> str:
        return gettext("baseline") if team.is_baseline else ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # teams come by joining

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        if obj is not None and (obj.submissions.exists() or obj.participants.exists()):
            return False
        return super().has_delete_permission(request, obj)

    # --- The page -----------------------------------------------------------------------------
    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Team | None = None,
    ) -> HttpResponse:
        if obj is not None:
            submissions = Submission.objects.filter(team=obj)
            context |= {
                "members": obj.participants.select_related("user").order_by("joined_at"),
                "submissions_of": submissions.count(),
                "is_disqualified": submissions.exists()
                and not submissions.exclude(exclusion=Exclusion.DISQUALIFIED).exists(),
                "quotas": [
                    (phase, quota.count(phase, obj)) for phase in obj.competition.phases.all()
                ],
                "grant_form": GrantForm(team=obj, auto_id="grant_%s"),
                "reason_form": ReasonForm(auto_id="disqualify_%s"),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_urls(self) -> list[URLPattern]:
        remove = path(
            "<int:object_id>/members/<int:participant_id>/remove/",
            self.admin_site.admin_view(require_POST(self.remove_view)),
            name="competitions_team_remove",
        )
        return [
            self.button_url("grant", self.grant_view),
            self.button_url("disqualify", self.disqualify_view),
            remove,
            *super().get_urls(),
        ]

    def grant_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        team = self.get_or_404(request, object_id)
        form = GrantForm(request.POST, team=team)
        if not form.is_valid():
            self._refuse(request, form)
            return HttpResponseRedirect(self.address(team))
        sent = form.cleaned_data

        def does() -> str:
            organizing.grant_extra(
                team, sent["phase"], sent["more"], by=person(request), reason=sent["reason"]
            )
            said = ngettext(
                "Granted %(count)d extra submission",
                "Granted %(count)d extra submissions",
                sent["more"],
            )
            return said % {"count": sent["more"]}

        return self._do(request, team, does)

    def disqualify_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        team = self.get_or_404(request, object_id)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            self._refuse(request, form)
            return HttpResponseRedirect(self.address(team))

        def does() -> str:
            count = organizing.disqualify_team(
                team, by=person(request), reason=form.cleaned_data["reason"]
            )
            said = ngettext(
                "Disqualified %(count)d submission", "Disqualified %(count)d submissions", count
            )
            return said % {"count": count}

        return self._do(request, team, does)

    def remove_view(
        self, request: HttpRequest, object_id: int, participant_id: int
    ) -> HttpResponse:
        team = self.get_or_404(request, object_id)
        member = team.participants.filter(pk=participant_id).select_related("user").first()
        if member is None:
            raise Http404
        form = ReasonForm(request.POST)
        if not form.is_valid():
            self._refuse(request, form)
            return HttpResponseRedirect(self.address(team))

        def does() -> str:
            name = member.user.get_username()
            organizing.remove_member(member, by=person(request), reason=form.cleaned_data["reason"])
            return gettext("Removed %(user)s") % {"user": name}

        return self._do(request, team, does)

    def _do(self, request: HttpRequest, team: Team, does: Any) -> HttpResponse:
        """Act and say so; ``organizing`` writes the history itself."""
        try:
            self.message_user(request, does(), messages.SUCCESS)
        except DomainError as error:
            self.message_user(request, str(error.detail), messages.ERROR)
        return HttpResponseRedirect(self.address(team))

    def _refuse(self, request: HttpRequest, form: forms.Form) -> None:
        for name, errors in form.errors.items():
            label = form.fields[name].label if name in form.fields else ""
            said = " ".join(str(error) for error in errors)
            self.message_user(request, f"{label}: {said}" if label else said, messages.ERROR)


@admin.register(Participant)
class ParticipantAdmin(OrganizerAdmin[Participant]):
    """Who entered, and when; changed on the team's page."""

    position = 70
    list_display = ("user", "competition", "team", "joined_at", "terms_accepted_at")
    list_filter = ("competition",)
    list_select_related = ("user", "competition", "team")
    search_fields = ("user__username", "user__email", "team__name")
    ordering = ("-joined_at", "-pk")
    fields = ("user", "competition", "team", "joined_at", "terms_accepted_at")
    readonly_fields = ("user", "competition", "team", "joined_at", "terms_accepted_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Participant | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Participant | None = None) -> bool:
        return False
