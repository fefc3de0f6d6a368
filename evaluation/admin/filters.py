from typing import Any

from django.contrib.admin import ModelAdmin, RelatedOnlyFieldListFilter
from django.db.models import Field
from django.http import HttpRequest

from competitions.models import Phase


class PhaseFilter(RelatedOnlyFieldListFilter):
    """Offer the phases of the list's rows, in one query with the competitions that name them."""

    def field_choices(
        self, field: Field[Any, Any], request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        rows = model_admin.get_queryset(request).order_by()
        used = rows.values(f"{self.field_path}__pk")
        phases = Phase.objects.filter(pk__in=used).select_related("competition")
        return [(str(phase.pk), str(phase)) for phase in phases]
