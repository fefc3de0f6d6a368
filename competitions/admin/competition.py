"""The page of a competition: its texts, its organizers, what lacks, and publishing it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions import organizers, publishing, showcase
from competitions.admin.banner import BannerPages
from competitions.admin.base import person
from competitions.admin.checklist import checklist_of
from competitions.errors import DomainError
from competitions.models import Competition
from competitions.people import User


class CompetitionForm(forms.ModelForm[Competition]):
    added_organizers = forms.CharField(
        label=_("Add organizers"),
        required=False,
        help_text=_(
            "User names or e-mail addresses, separated by commas. They need an account, and may "
            "then do everything here that you may."
        ),
    )
    removed_organizers = forms.ModelMultipleChoiceField(
        label=_("Remove organizers"),
        queryset=get_user_model().objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None and "removed_organizers" in self.fields:
            field = self.fields["removed_organizers"]
            assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101 - see above
            field.queryset = self.instance.organizers.order_by("username")

    def clean_added_organizers(self) -> list[User]:
        written = self.cleaned_data["added_organizers"].replace("\n", ",").split(",")
        try:
            return [organizers.find_person(each.strip()) for each in written if each.strip()]
        except DomainError as error:
            raise forms.ValidationError(str(error.detail) % error.facts) from error

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        removed = set(self.cleaned_data.get("removed_organizers") or [])
        added = set(self.cleaned_data.get("added_organizers") or [])
        if self.instance.pk is not None and removed:
            left = set(self.instance.organizers.all()) - removed | added
            if not left:
                self.add_error(
                    "removed_organizers", _("A competition needs an organizer: keep one.")
                )
        return cleaned


@admin.register(Competition)
class CompetitionAdmin(BannerPages):
    competition_path = "pk"
    position = 10
    form = CompetitionForm
    change_form_template = "admin/competitions/competition/change_form.html"
    list_display = ("title", "state", "phase_count", "team_count", "submission_count")
    search_fields = ("title", "slug", "summary")
    ordering = ("-created_at",)
    _texts = (
        (
            _("Overview"),
            {
                "description": _(
                    "What visitors read first. Write Markdown: # headings, **bold**, lists, links."
                ),
                "fields": ("title", "slug", "summary", "description"),
            },
        ),
        (
            _("Rules"),
            {
                "description": _(
                    "What is allowed: training data, sizes, how often, what prizes. The limits of "
                    "each phase are shown anyway."
                ),
                "fields": ("rules",),
            },
        ),
        (
            _("Data"),
            {
                "description": _(
                    "Where the pictures come from and what may be done with them. The credit of "
                    "each picture is shown anyway."
                ),
                "fields": ("data_description",),
            },
        ),
        (_("Terms"), {"fields": ("terms",)}),
        (_("Teams"), {"fields": ("max_team_size", "teams_freeze_at")}),
    )

    # --- The list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Competition]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                teams_in=Count("teams", distinct=True),
                submissions_in=Count("phases__submissions", distinct=True),
            )
            .prefetch_related("phases")
        )

    @admin.display(description=_("state"))
    def state(self, competition: Competition) -> str:
        if not competition.is_published:
            return gettext("Draft")
        phases = competition.phases.all()
        if not phases:
            return gettext("Published")
        return str(showcase.schedule(phases, at=now()).state.label)

    @admin.display(description=_("phases"))
    def phase_count(self, competition: Competition) -> int:
        return len(competition.phases.all())

    @admin.display(description=_("teams"), ordering="teams_in")
    def team_count(self, competition: Any) -> int:
        counted: int = competition.teams_in
        return counted

    @admin.display(description=_("submissions"), ordering="submissions_in")
    def submission_count(self, competition: Any) -> int:
        counted: int = competition.submissions_in
        return counted

    # --- The page -----------------------------------------------------------------------------
    def get_fieldsets(self, request: HttpRequest, obj: Competition | None = None) -> Any:
        own: tuple[str, ...] = ("added_organizers",)
        if obj is not None:
            own = (*own, "removed_organizers")
        described = _("You are an organizer from the start. All organizers have the same rights.")
        return (*self._texts, (_("Organizers"), {"description": described, "fields": own}))

    def get_readonly_fields(
        self, request: HttpRequest, obj: Competition | None = None
    ) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        # People have the address by now.
        return [*fields, "slug"] if obj is not None and obj.is_published else fields

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Competition | None = None
    ) -> dict[str, Any]:
        is_fixed = "slug" in self.get_readonly_fields(request, obj)
        return {} if is_fixed else {"slug": ("title",)}

    def has_delete_permission(self, request: HttpRequest, obj: Competition | None = None) -> bool:
        if obj is not None and obj.phases.filter(submissions__isnull=False).exists():
            return False
        return super().has_delete_permission(request, obj)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Competition | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context |= {
                "checklist": checklist_of(obj, self.admin_site),
                "state": self.state(obj),
                "present_organizers": obj.organizers.order_by("username"),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        competition = form.instance
        if not change:
            organizers.add_organizer(competition, person(request))
        for user in form.cleaned_data.get("added_organizers", []):
            organizers.add_organizer(competition, user)
            done = gettext("Added %(user)s as an organizer") % {"user": user.get_username()}
            self.record(request, competition, done)
        for user in form.cleaned_data.get("removed_organizers", []):
            organizers.remove_organizer(competition, user)
            done = gettext("Removed %(user)s as an organizer") % {"user": user.get_username()}
            self.record(request, competition, done)

    def response_add(
        self, request: HttpRequest, obj: Competition, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go on with the new competition's page, where the checklist says what comes next."""
        if {"_addanother", "_popup"} & set(request.POST):
            return super().response_add(request, obj, post_url_continue)
        self.message_user(
            request,
            gettext("“%(title)s” is a draft that only its organizers see. Next: its phases.")
            % {"title": obj.title},
            messages.SUCCESS,
        )
        return HttpResponseRedirect(self.address(obj))

    # --- Publishing ---------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        return [
            self.button_url("publish", self.publish_view),
            self.button_url("unpublish", self.unpublish_view),
            *super().get_urls(),
        ]

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        competition = self.get_or_404(request, object_id)

        def does() -> str:
            publishing.publish(competition)
            return gettext("Published")

        return self.act(request, competition, does)

    def unpublish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        competition = self.get_or_404(request, object_id)
        why = request.POST.get("reason", "").strip()[:300]
        if not why:
            self.message_user(request, gettext("Say why, for the history."), messages.ERROR)
            return HttpResponseRedirect(self.address(competition))

        def does() -> str:
            publishing.unpublish(competition)
            return gettext("Hidden again: a draft")

        return self.act(request, competition, does, why=why)
