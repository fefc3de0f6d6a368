"""Tokens of workers on other machines: administrators make them, organizers for their own queue."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions.admin.base import OrganizerAdmin, person
from competitions.errors import DomainError
from competitions.people import User
from evaluation.gateway import tokens
from evaluation.worker_token import WorkerToken


class WorkerTokenForm(forms.ModelForm[WorkerToken]):
    queue = forms.ChoiceField(
        label=_("Takes"),
        help_text=_("The workers of this token see no submissions but those of this queue."),
    )

    class Meta:
        model = WorkerToken
        fields = ("name", "queue")


@admin.register(WorkerToken)
class WorkerTokenAdmin(OrganizerAdmin[WorkerToken]):
    position = 60
    form = WorkerTokenForm
    fixed_fields = ("name", "queue")
    list_display = ("name", "queue", "created_by", "created_at", "last_used_at", "revoked_at")
    readonly_fields = ("created_by", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("created_by",)

    def get_fields(self, request: HttpRequest, obj: WorkerToken | None = None) -> Any:
        return ("name", "queue") if obj is None else ("name", "queue", *self.readonly_fields)

    def get_readonly_fields(
        self, request: HttpRequest, obj: WorkerToken | None = None
    ) -> list[Any]:
        return [] if obj is None else ["name", "queue", *self.readonly_fields]

    def get_form(
        self,
        request: HttpRequest,
        obj: WorkerToken | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        if obj is not None:
            made.base_fields.pop("queue", None)
        elif "queue" in made.base_fields:
            made.base_fields["queue"].choices = tokens.queues_of(person(request))
        return made

    def has_delete_permission(self, request: HttpRequest, obj: WorkerToken | None = None) -> bool:
        return False  # the history and the runs name it: it is revoked instead

    def save_model(self, request: HttpRequest, obj: WorkerToken, form: Any, change: bool) -> None:
        """Make a token by its service, which says the key that nobody can be told again."""
        if change:
            return
        by: User = person(request)
        made, key = tokens.issue(name=obj.name, queue=obj.queue, by=by)
        obj.pk, obj.competition_id = made.pk, made.competition_id
        obj._state.adding = False
        told = gettext(
            "This is the token’s key. It is shown only now; keep it in a file that nobody else can "
            "read: %(key)s"
        )
        self.message_user(request, told % {"key": key}, messages.WARNING)

    def log_addition(self, request: HttpRequest, obj: WorkerToken, message: Any) -> Any:
        """Leave it to the service, which has written down what was made and for which queue."""

    def get_urls(self) -> list[URLPattern]:
        return [self.button_url("revoke", self.revoke), *super().get_urls()]

    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Refuse the token from now on."""
        token = self.get_or_404(request, object_id)
        try:
            tokens.revoke(token, by=person(request))
        except DomainError as error:
            self.message_user(request, str(error.detail), messages.ERROR)
        else:
            done = gettext("The token is revoked; what its workers held goes to others.")
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:evaluation_workertoken_changelist"))
