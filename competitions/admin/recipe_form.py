"""The form of a recipe: layers with weights, metrics with what they mean, the discriminator."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from competitions.errors import DomainError
from competitions.metric_texts import describe_metric
from competitions.models import ScoringRecipe
from competitions.models.phase import Direction
from competitions.recipes import check_discriminator
from styletransfer.errors import InvalidRecipe
from styletransfer.metric_specs import DEFAULT_METRICS, METRICS
from styletransfer.recipe import VGG19_LAYERS, Recipe

_DEFAULT = Recipe()
NORMALIZATIONS = [
    ("gatys", _("as Gatys et al. write it: divided by 4 N², N channels")),
    ("spatial", _("spatial: divided by 4 only, so that wide layers count more")),
]


class LayerWeightsWidget(forms.MultiWidget):
    """One number per layer of the network, empty where the layer is not used."""

    template_name = "admin/competitions/scoringrecipe/layer_weights.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        number = {"step": "any", "min": "0", "inputmode": "decimal"}
        widgets: dict[str, forms.Widget | type[forms.Widget]] = {
            layer: forms.NumberInput(number) for layer in VGG19_LAYERS
        }
        super().__init__(widgets, attrs)

    def decompress(self, value: Mapping[str, float] | None) -> list[float | None]:
        return [(value or {}).get(layer) for layer in VGG19_LAYERS]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        shown = context["widget"]
        blocks: dict[str, list[Any]] = {}
        for layer, each in zip(VGG19_LAYERS, shown["subwidgets"], strict=True):
            blocks.setdefault(layer[4], []).append((layer, each))
        shown["blocks"] = list(blocks.items())
        return context


class DiscriminatorWidget(forms.ClearableFileInput):
    template_name = "admin/competitions/scoringrecipe/discriminator.html"


class LayerWeightsField(forms.MultiValueField):
    """Style layers with their weights, as a mapping in the order of the network."""

    widget = LayerWeightsWidget

    def __init__(self, **kwargs: Any) -> None:
        fields = [forms.FloatField(min_value=0, required=False) for _layer in VGG19_LAYERS]
        super().__init__(fields, require_all_fields=False, **kwargs)

    def compress(self, data_list: Sequence[float | None]) -> dict[str, float]:
        given = zip(VGG19_LAYERS, data_list or [None] * len(VGG19_LAYERS), strict=True)
        return {layer: weight for layer, weight in given if weight is not None}


def _describe_choice(key: str) -> SafeString:
    text = describe_metric(key)
    direction = dict(Direction.choices)[text.direction]
    return format_html(
        "<span><strong>{}</strong> ({})<br><span class='quiet'>{}</span></span>",
        text.title,
        direction,
        " ".join(map(str, (text.explanation, *text.needs))),
    )


class RecipeForm(forms.ModelForm[ScoringRecipe]):
    content_layer = forms.ChoiceField(
        label=_("Content layer"),
        choices=[(layer, layer) for layer in VGG19_LAYERS],
        initial=_DEFAULT.content_layer,
        help_text=_(
            "The layer of VGG-19 at which output and content image are compared. Deeper layers ask "
            "for the same things in the picture, shallower ones for the same pixels."
        ),
    )
    layers = LayerWeightsField(
        label=_("Style layers and their weights"),
        initial=dict(zip(_DEFAULT.style_layers, _DEFAULT.style_weights, strict=True)),
        help_text=_(
            "Give a weight to each layer whose Gram matrix counts, and leave the others empty. The "
            "usual choice is the first of each block with 0.2 each."
        ),
    )
    normalization = forms.ChoiceField(
        label=_("Gram normalisation"),
        initial=_DEFAULT.normalization,
        widget=forms.RadioSelect,
        choices=NORMALIZATIONS,
        help_text=_("Of Gram matrices that are averaged over positions."),
    )
    metrics = forms.MultipleChoiceField(
        label=_("Metrics"),
        choices=lambda: [(key, _describe_choice(key)) for key in METRICS],
        initial=DEFAULT_METRICS,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "All of them are measured and shown; one of them ranks, which each phase chooses."
        ),
    )
    discriminator = forms.FileField(
        label=_("Discriminator"),
        required=False,
        widget=DiscriminatorWidget,
        help_text=_(
            "Judges how painted an output looks. Needed for gamma above 0 and for the adversarial "
            "loss. A safetensors file as “manage.py train_baseline” writes it."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        recipe = self.instance
        if recipe.pk is not None:
            self.initial["layers"] = dict(
                zip(recipe.style_layers, recipe.style_weights, strict=True)
            )

    def clean_discriminator(self) -> Any:
        given = self.cleaned_data["discriminator"]
        if isinstance(given, UploadedFile):
            try:
                self.instance.discriminator_sha256 = check_discriminator(given)
            except DomainError as error:
                raise forms.ValidationError(str(error.detail)) from error
            given.name = "discriminator.safetensors"  # what the uploader called it is no name
        elif given is False:  # "clear" was ticked
            self.instance.discriminator_sha256 = ""
        return given

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = self.cleaned_data
        layers = given.get("layers")
        if layers is not None:
            self.instance.style_layers = list(layers)
            self.instance.style_weights = list(layers.values())
            if not any(layers.values()):
                self.add_error("layers", _("Give at least one layer a weight above 0."))
        has_one = self.instance.discriminator_sha256 or "discriminator" in self.errors
        if given.get("gamma") and not has_one:
            self.add_error("gamma", _("With gamma above 0, give a discriminator."))
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            self.instance.as_value()
        except InvalidRecipe as error:
            self.add_error(None, str(error))
