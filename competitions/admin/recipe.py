"""The page of a recipe: what is measured and how it adds up; calibration; copies."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions.admin.base import OrganizerAdmin, person
from competitions.admin.lists import plain_list
from competitions.admin.recipe_form import NORMALIZATIONS, RecipeForm
from competitions.metric_texts import describe_metric
from competitions.models import ReferenceSet, ScoringRecipe
from competitions.networks import Networks, pins_of
from competitions.preparation_problems import problem_of
from competitions.preparations import OPEN, request_calibration
from competitions.recipes import duplicate_recipe, store_recipe

SHOWN = 5


class CalibrationForm(forms.Form):
    reference_set = forms.ModelChoiceField(
        label=_("Reference set"), queryset=ReferenceSet.objects.none()
    )
    networks = forms.ChoiceField(
        label=_("Networks"), choices=Networks.choices, initial=Networks.OFFICIAL
    )


@admin.register(ScoringRecipe)
class RecipeAdmin(OrganizerAdmin[ScoringRecipe]):
    position = 40
    form = RecipeForm
    change_form_template = "admin/competitions/scoringrecipe/change_form.html"
    list_display = ("name", "competition", "alpha", "beta", "gamma", "phase_count")
    list_filter = ("competition",)
    list_select_related = ("competition",)
    search_fields = ("name", "description")
    ordering = ("-created_at",)
    # Of one in use, everything is shown and nothing can be changed.
    _shown = (
        *("layers_shown", "normalization_shown", "metrics_shown"),
        *("discriminator_shown", "hash_shown"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScoringRecipe]:
        return super().get_queryset(request).annotate(phases_of=Count("phases"))

    @admin.display(description=_("phases"), ordering="phases_of")
    def phase_count(self, recipe: Any) -> int:
        counted: int = recipe.phases_of
        return counted

    # --- The page -----------------------------------------------------------------------------
    def has_change_permission(self, request: HttpRequest, obj: ScoringRecipe | None = None) -> bool:
        if obj is not None and obj.is_used:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ScoringRecipe | None = None) -> bool:
        if obj is not None and obj.is_used:
            return False
        return super().has_delete_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: ScoringRecipe | None = None) -> Any:
        is_fixed = obj is not None and obj.is_used
        total = _(
            "total = alpha · content + beta · style + gamma · adversarial. Leave the numbers as "
            "they are and calibrate the recipe once its pictures are there: then the three terms "
            "count alike."
        )
        layers = "layers_shown" if is_fixed else "layers"
        gram = "normalization_shown" if is_fixed else "normalization"
        metrics = "metrics_shown" if is_fixed else "metrics"
        judge = "discriminator_shown" if is_fixed else "discriminator"
        sets: list[Any] = [
            (None, {"fields": ("competition", "name", "description")}),
            (_("Content and style"), {"fields": ("content_layer", layers, gram)}),
            (_("Discriminator"), {"fields": (judge,)}),
            (_("Total"), {"description": total, "fields": ("alpha", "beta", "gamma")}),
            (_("Metrics"), {"fields": (metrics,)}),
        ]
        if obj is not None:
            known = _("Names this recipe on score cards and in the REST interface.")
            sets.append((_("Hash"), {"description": known, "fields": ("hash_shown",)}))
        return sets

    def get_readonly_fields(
        self, request: HttpRequest, obj: ScoringRecipe | None = None
    ) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *self._shown]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"alpha": 1, "beta": 1, "gamma": 0, **super().get_changeform_initial_data(request)}

    @admin.display(description=_("style layers and their weights"))
    def layers_shown(self, recipe: ScoringRecipe) -> SafeString:
        pairs = zip(recipe.style_layers, recipe.style_weights, strict=True)
        return format_html_join(", ", "{} · {}", pairs)

    @admin.display(description=_("Gram normalisation"))
    def normalization_shown(self, recipe: ScoringRecipe) -> str:
        return str(dict(NORMALIZATIONS).get(recipe.normalization, recipe.normalization))

    @admin.display(description=_("metrics"))
    def metrics_shown(self, recipe: ScoringRecipe) -> SafeString:
        titles = [(describe_metric(key).title,) for key in recipe.metrics]
        return plain_list(format_html_join("", "<li>{}</li>", titles))

    @admin.display(description=_("discriminator"))
    def discriminator_shown(self, recipe: ScoringRecipe) -> SafeString:
        return format_html('<code class="hash">{}</code>', recipe.discriminator_sha256 or "–")  # noqa: RUF001

    @admin.display(description="SHA-256")
    def hash_shown(self, recipe: ScoringRecipe) -> SafeString:
        return format_html('<code class="hash">{}</code>', recipe.sha256)

    def save_model(self, request: HttpRequest, obj: ScoringRecipe, form: Any, change: bool) -> None:
        store_recipe(obj)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ScoringRecipe | None = None,
    ) -> HttpResponse:
        if obj is not None:
            calibrations = list(
                obj.preparations.select_related("reference_set").order_by("-created_at")[:SHOWN]
            )
            context |= {
                "calibrations": [(each, problem_of(each)) for each in calibrations],
                "is_calibrating": any(each.status in OPEN for each in calibrations),
                "calibration_form": self._calibration_form(request, obj),
                "phases_using": obj.phases.select_related("competition"),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    # --- What can be done with it -------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        return [
            self.button_url("calibrate", self.calibrate_view),
            self.button_url("duplicate", self.duplicate_view),
            *super().get_urls(),
        ]

    def calibrate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        recipe = self.get_or_404(request, object_id)
        form = self._calibration_form(request, recipe, request.POST)
        if not form.is_valid():
            self.message_user(request, gettext("Choose a reference set."), messages.ERROR)
            return HttpResponseRedirect(self.address(recipe))

        def does() -> str:
            pins = pins_of(Networks(form.cleaned_data["networks"]), ["vgg"])
            chosen = form.cleaned_data["reference_set"]
            request_calibration(recipe, chosen, vgg=pins["vgg"], by=person(request))
            return gettext("Calibration on %(set)s requested") % {"set": chosen}

        return self.act(request, recipe, does)

    def duplicate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        recipe = self.get_visible_or_404(request, object_id)
        copy = duplicate_recipe(recipe)
        self.log_addition(request, copy, gettext("Duplicate of %(name)s") % {"name": recipe})
        self.message_user(
            request, gettext("This is a copy: nothing uses it yet."), messages.SUCCESS
        )
        return HttpResponseRedirect(self.address(copy))

    def _calibration_form(
        self, request: HttpRequest, recipe: ScoringRecipe, data: Any = None
    ) -> CalibrationForm:
        form = CalibrationForm(data, prefix="calibration")
        field = form.fields["reference_set"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - see above
        reachable = self.choices_for(ReferenceSet, request)
        field.queryset = reachable.filter(competition=recipe.competition_id).order_by("name")
        return form
