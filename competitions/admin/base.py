"""What every page of the admin shares: organizers find their own competitions' rows, no others.

Permissions come from ``competitions.policies``, not from Django's table of model permissions.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from django.contrib import messages
from django.contrib.admin import ModelAdmin, RelatedOnlyFieldListFilter
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import transaction
from django.db.models import DateTimeField, Field, ForeignKey, ManyToManyField, Model, QuerySet
from django.forms import Field as FormField
from django.forms import ModelChoiceField, ModelMultipleChoiceField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from competitions import policies
from competitions.errors import DomainError
from competitions.models import Competition
from competitions.people import User

Row = TypeVar("Row", bound=Model)


def person(request: HttpRequest) -> User:
    """Return who asks; the admin lets nobody in who has not logged in."""
    if not request.user.is_authenticated:
        raise Http404
    return request.user


def may_organize(request: HttpRequest) -> bool:
    """Ask the policy once per request: the admin asks dozens of times."""
    known: bool | None = getattr(request, "_may_organize", None)
    if known is None:
        known = policies.may_organize(request.user)
        setattr(request, "_may_organize", known)  # noqa: B010 - a request has no such attribute
    return known


class Scoped(BaseModelAdmin[Row]):
    """Rows and choices limited to the competitions that whoever asks organizes.

    Attributes:
        competition_path: the lookup from the model to its competition, such as
            ``reference_set__competition``; ``pk`` for the competition itself.
    """

    competition_path: ClassVar[str] = "competition"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        rows = super().get_queryset(request)
        if person(request).is_superuser:
            return rows
        organized = Competition.objects.organized_by(person(request)).order_by().values("pk")
        return rows.filter(**{f"{self.competition_path}__in": organized})

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        kwargs.setdefault("queryset", self.choices_for(db_field.remote_field.model, request))
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        is_owner = db_field.remote_field.model is Competition
        if field is not None and is_owner and not person(request).is_superuser:
            # What belongs to no competition is out of reach for all but administrators.
            field.required, field.help_text = True, ""
        return field

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        kwargs.setdefault("queryset", self.choices_for(db_field.remote_field.model, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> FormField | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            # No pop-ups: rows have pages of their own, one click away in the side bar.
            for act in ("add", "change", "delete", "view"):
                setattr(field.widget, f"can_{act}_related", False)
        if field is not None and isinstance(db_field, DateTimeField):
            zone = gettext("Time zone: %(zone)s") % {"zone": get_current_timezone_name()}
            field.help_text = format_html("{} {}", field.help_text, zone)
        return field

    def choices_for(self, model: type[Model], request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of another model that may be chosen here.

        Raises:
            ImproperlyConfigured: nothing says which rows of that model an organizer may see.
        """
        if self.admin_site.is_registered(model):
            related = self.admin_site.get_model_admin(model)
            if isinstance(related, Scoped):
                return Scoped.get_queryset(related, request)  # without what its list adds
        rows = model._default_manager.all()
        if person(request).is_superuser:
            return rows
        if any(field.name == "competition" for field in model._meta.fields):
            return rows.filter(competition__in=Competition.objects.organized_by(person(request)))
        raise ImproperlyConfigured(
            f"{type(self).__name__} offers rows of {model.__name__}, which no OrganizerAdmin limits"
        )

    def owns(self, request: HttpRequest, row: Model | None) -> bool:
        """Say whether ``row`` (None: any at all) is in reach of whoever asks."""
        if not may_organize(request):
            return False
        return row is None or self.get_queryset(request).filter(pk=row.pk).exists()


class OwnRowsFilter(RelatedOnlyFieldListFilter):
    """A filter by a relation that offers only what occurs in the rows of the list."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[Any, Any]]:
        occurring = model_admin.get_queryset(request).order_by().values(f"{self.field_path}__pk")
        rows = field.related_model._default_manager.filter(pk__in=occurring)
        ordering = self.field_admin_ordering(field, request, model_admin)
        if any(each.name == "competition" for each in field.related_model._meta.fields):
            rows = rows.select_related("competition")  # what a phase is called says whose it is
        if ordering:
            rows = rows.order_by(*ordering)
        return [(row.pk, str(row)) for row in rows]


class OrganizerAdmin(Scoped[Row], ModelAdmin[Row]):
    """One kind of rows on the organizers' pages.

    Attributes:
        position: where it stands among those of its app.
        can_delete_many: whether the list offers to delete several at once.
    """

    position: ClassVar[int] = 50
    can_delete_many: ClassVar[bool] = False
    # No field but this one may move a row to another competition, so it is fixed once made.
    fixed_fields: ClassVar[Sequence[str]] = ("competition",)
    list_per_page = 50
    view_on_site = False  # Django's redirect tells anybody on the staff any address

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_organize(request)

    def has_view_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return self.owns(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_organize(request)

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return self.owns(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return self.owns(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if not self.can_delete_many:
            actions.pop("delete_selected", None)
        return actions

    def get_readonly_fields(self, request: HttpRequest, obj: Row | None = None) -> list[Any]:
        fields = list(super().get_readonly_fields(request, obj))
        if obj is None:
            return fields
        own = {field.name for field in self.opts.fields}
        return [*fields, *(name for name in self.fixed_fields if name in own - set(fields))]

    def get_form(
        self, request: HttpRequest, obj: Row | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if not person(request).is_superuser:  # what an empty one means does not concern them
            kwargs["help_texts"] = {"competition": "", **kwargs.get("help_texts", {})}
        return super().get_form(request, obj, change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Choose the competition for whoever has only one."""
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        own = list(Competition.objects.organized_by(person(request)).order_by("pk")[:2])
        if len(own) == 1:
            initial.setdefault("competition", own[0].pk)
        return initial

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Let filters by a relation offer only what occurs in the rows of the list."""
        return [self._limited(each) for each in super().get_list_filter(request)]

    def _limited(self, each: Any) -> Any:
        if not isinstance(each, str):
            return each
        model: Any = self.model
        for part in each.split("__"):
            try:
                field = model._meta.get_field(part)
            except FieldDoesNotExist:
                return each
            if not field.is_relation:
                return each
            model = field.related_model
        return (each, OwnRowsFilter)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show what services refuse at the last moment; nothing was saved then."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            self.message_user(request, str(error.detail), messages.ERROR)
        except ValidationError as error:  # a row that came in use meanwhile says so in save()
            self.message_user(request, " ".join(error.messages), messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def heading(self, row: Row) -> str:
        """Return what a row's page is headed by."""
        return str(row)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Row | None = None,
    ) -> HttpResponse:
        """Head a row's page with what it is called, not with what can be done to it."""
        if obj is not None:
            context |= {"title": self.heading(obj), "subtitle": None}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def act(
        self, request: HttpRequest, row: Row, does: Callable[[], str], *, why: str = ""
    ) -> HttpResponse:
        """Do something about a row, record it with its reason, and go back to the row's page.

        ``does`` returns in words what was done; what it refuses is shown instead.
        """
        try:
            with transaction.atomic():
                done = does()
                self.record(request, row, f"{done} ({why})" if why else done)
        except DomainError as error:
            self.message_user(request, str(error.detail), messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(self.address(row))

    def address(self, row: Model) -> str:
        """Return the address of a row's page in the admin."""
        name = f"{row._meta.app_label}_{row._meta.model_name}_change"
        return reverse(f"{self.admin_site.name}:{name}", args=[row.pk])

    def button_url(self, name: str, view: Callable[..., HttpResponseBase]) -> URLPattern:
        """Return the address of something that can be done with a row: POST, and only by POST."""
        full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        guarded = self.admin_site.admin_view(require_POST(view))
        return path(f"<path:object_id>/{name}/", guarded, name=full_name)

    def get_or_404(self, request: HttpRequest, pk: object) -> Row:
        """Return a row to act upon; one of another's competition is not there.

        Raises:
            Http404: it does not exist for whoever asks.
        """
        found = self.get_object(request, str(pk))
        if found is None or not self.has_change_permission(request, found):
            raise Http404
        return found

    def get_visible_or_404(self, request: HttpRequest, pk: object) -> Row:
        """Return a row that may at least be looked at.

        Raises:
            Http404: it does not exist for whoever asks.
        """
        found = self.get_object(request, str(pk))
        if found is None or not self.has_view_permission(request, found):
            raise Http404
        return found

    def record(self, request: HttpRequest, row: Row, message: str) -> None:
        """Write into the history what was done and why."""
        self.log_change(request, row, message)
