"""What every page of the admin shares: organizers find their own competitions' rows, no others.

Permissions come from ``competitions.policies``, not from Django's table of model permissions.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from django.contrib.admin import (
    ModelAdmin,
    RelatedOnlyFieldListFilter,
    StackedInline,
    TabularInline,
)
from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import ForeignKey, ManyToManyField, Model, QuerySet
from django.forms import ModelChoiceField, ModelMultipleChoiceField
from django.http import Http404, HttpRequest

from competitions import policies
from competitions.models import Competition
from competitions.people import User

Row = TypeVar("Row", bound=Model)
Parent = TypeVar("Parent", bound=Model)


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
        if field is not None and db_field.remote_field.model is Competition:
            # What belongs to no competition is out of reach for all but administrators.
            field.required = field.required or not person(request).is_superuser
        return field

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        kwargs.setdefault("queryset", self.choices_for(db_field.remote_field.model, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def choices_for(self, model: type[Model], request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of another model that may be chosen here.

        Raises:
            ImproperlyConfigured: nothing says which rows of that model an organizer may see.
        """
        if self.admin_site.is_registered(model):
            related = self.admin_site.get_model_admin(model)
            if isinstance(related, Scoped):
                return related.get_queryset(request)
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
        return (each, RelatedOnlyFieldListFilter)

    def get_or_404(self, request: HttpRequest, pk: object) -> Row:
        """Return a row to act upon; one of another's competition is not there.

        Raises:
            Http404: it does not exist for whoever asks.
        """
        found = self.get_object(request, str(pk))
        if found is None or not self.has_change_permission(request, found):
            raise Http404
        return found

    def record(self, request: HttpRequest, row: Row, message: str) -> None:
        """Write into the history what was done and why."""
        self.log_change(request, row, message)


class _Inline(Scoped[Row]):
    """Rows shown within another's page; whoever may change that one may change these."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._owns_parent(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._owns_parent(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._owns_parent(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._owns_parent(request, obj)

    def _owns_parent(self, request: HttpRequest, parent: Model | None) -> bool:
        if parent is None or parent.pk is None:
            return may_organize(request)
        page = self.admin_site.get_model_admin(type(parent))
        return isinstance(page, Scoped) and page.owns(request, parent)


class OrganizerTabularInline(_Inline[Row], TabularInline[Row, Parent]):
    extra = 0


class OrganizerStackedInline(_Inline[Row], StackedInline[Row, Parent]):
    extra = 0
