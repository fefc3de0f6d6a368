"""The form that a checkpoint is submitted with: fields that make the manifest."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from competitions.errors import (
    ChecksumMismatch,
    Conflict,
    DomainError,
    Gone,
    Invalid,
    Locked,
    TooLarge,
)
from competitions.models import Phase
from styletransfer.architectures import ARCHITECTURES, Architecture, Parameter
from submissions.models import Upload
from submissions.parameter_names import describe_parameter

LARGEST_MANIFEST = 2**16
AUTOMATIC = "auto"
FORMATS: list[tuple[str, "str | Promise"]] = [
    (AUTOMATIC, gettext_lazy("Read it from the file")),
    ("onnx", "ONNX"),
    ("safetensors", "safetensors"),
    ("state_dict", gettext_lazy("State dict of PyTorch (.pth)")),
]
WEIGHTS = ("safetensors", "state_dict")
RANGES: list[tuple[str, "str | Promise"]] = [
    ("0..1", gettext_lazy("0 to 1")),
    ("-1..1", gettext_lazy("\N{MINUS SIGN}1 to 1")),
    ("0..255", gettext_lazy("0 to 255")),
    ("imagenet", gettext_lazy("ImageNet mean and deviation")),
]
CHANNEL_ORDERS = [("RGB", gettext_lazy("RGB")), ("BGR", gettext_lazy("BGR"))]
SIZE_RULES: list[tuple[str, "str | Promise"]] = [
    ("multiple_of", gettext_lazy("Any size whose sides are multiples of a number")),
    ("fixed", gettext_lazy("One size only")),
]
# What generators of this kind were nearly always trained with; a browser fills it in.
DEFAULTS: dict[str, dict[str, str]] = {
    "onnx": {"input_range": "0..1", "output_range": "0..1", "channel_order": "RGB"},
    **{
        each.name: {
            "input_range": each.usual_range,
            "output_range": each.usual_range,
            "channel_order": "RGB",
            "multiple_of": str(each.size_multiple({})),
        }
        for each in ARCHITECTURES.values()
    },
}
# Which fields of the form make which part of the manifest, so that an error finds its place.
_FIELD_OF = {
    "format": "format",
    "architecture": "architecture",
    "inputs.0": "content_input",
    "inputs.1": "style_input",
    "input_range": "input_range",
    "output_range": "output_range",
    "channel_order": "channel_order",
    "size": "multiple_of",
}
_FILE_ERRORS = (Invalid, TooLarge, Conflict, Gone, Locked, ChecksumMismatch)


def parameter_field(architecture: str, parameter: str) -> str:
    """Name the field of an architecture's parameter."""
    return f"{architecture}_{parameter}"


class SubmitForm(forms.Form):
    """A checkpoint with the fields of its manifest, or with the manifest as JSON."""

    # Whether it is missing depends on why: see `clean_checkpoint`; what is in it, services say.
    checkpoint = forms.FileField(
        label=gettext_lazy("Checkpoint"), required=False, allow_empty_file=True
    )
    format = forms.ChoiceField(
        label=gettext_lazy("Format of the file"),
        choices=FORMATS,
        initial=AUTOMATIC,
        widget=forms.RadioSelect,
    )
    architecture = forms.ChoiceField(
        label=gettext_lazy("Architecture"),
        choices=[(each.name, each.title) for each in ARCHITECTURES.values()],
        help_text=gettext_lazy(
            "The network that the weights belong to. Export any other network to ONNX."
        ),
    )
    content_input = forms.CharField(
        label=gettext_lazy("Name of the content input"),
        initial="content",
        max_length=200,
        help_text=gettext_lazy("As the ONNX graph names the input that takes the photograph."),
    )
    style_input = forms.CharField(
        label=gettext_lazy("Name of the style input"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Only if the generator takes a style image too; else empty."),
    )
    input_range = forms.ChoiceField(label=gettext_lazy("It takes values of"), choices=RANGES)
    output_range = forms.ChoiceField(label=gettext_lazy("It returns values of"), choices=RANGES)
    channel_order = forms.ChoiceField(
        label=gettext_lazy("Order of the colours"),
        choices=CHANNEL_ORDERS,
        initial="RGB",
        widget=forms.RadioSelect,
    )
    size_rule = forms.ChoiceField(
        label=gettext_lazy("Sizes it takes"),
        choices=SIZE_RULES,
        initial="multiple_of",
        widget=forms.RadioSelect,
    )
    multiple_of = forms.IntegerField(
        label=gettext_lazy("Multiples of"),
        min_value=1,
        max_value=64,
        initial=4,
        help_text=gettext_lazy("1 if any size will do."),
    )
    fixed_height = forms.IntegerField(
        label=gettext_lazy("Height in pixels"), min_value=1, max_value=8192
    )
    fixed_width = forms.IntegerField(
        label=gettext_lazy("Width in pixels"), min_value=1, max_value=8192
    )
    hold = forms.BooleanField(
        label=gettext_lazy("Show me the first picture before it queues"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "Ranges of values are a guess until somebody has seen what they give. Without an "
            "answer it queues after 15 minutes."
        ),
    )
    manifest = forms.CharField(
        label=gettext_lazy("Manifest (JSON)"),
        widget=forms.Textarea(attrs={"rows": 9, "spellcheck": "false"}),
        max_length=LARGEST_MANIFEST,
        required=False,
        help_text=gettext_lazy("What is here counts instead of the fields above."),
    )

    def __init__(
        self,
        *args: Any,
        phase: Phase,
        upload: Upload | None = None,
        is_file_held_back: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.phase = phase
        self._upload = upload
        self._is_file_held_back = is_file_held_back
        self.side = phase.reference_set.image_size
        self.fields["fixed_height"].initial = self.fields["fixed_width"].initial = self.side
        for architecture in ARCHITECTURES.values():
            for name, parameter in architecture.parameters.items():
                field = parameter_field(architecture.name, name)
                self.fields[field] = _make_parameter_field(name, parameter)

    @property
    def parameter_groups(self) -> list[tuple[Architecture, list[forms.BoundField]]]:
        """Return the fields of each architecture's parameters."""
        return [
            (each, [self[parameter_field(each.name, name)] for name in each.parameters])
            for each in ARCHITECTURES.values()
        ]

    @property
    def is_pasted(self) -> bool:
        return bool(str(self.data.get("manifest", "")).strip())

    @property
    def is_automatic(self) -> bool:
        return str(self.data.get("format")) == AUTOMATIC

    def clean_checkpoint(self) -> UploadedFile[bytes] | Upload | None:
        if self._upload is not None:
            return self._upload  # sent before, in pieces
        found = self.files.get("checkpoint")
        if not isinstance(found, UploadedFile):
            if self._is_file_held_back:
                return None  # something was sent, and why it was not taken is said elsewhere
            raise forms.ValidationError(_("Choose the generator's file."), code="missing")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name in self._fields_that_do_not_count():
            self.errors.pop(name, None)
        if not self.is_pasted and not self.is_automatic:
            if cleaned.get("format") == "onnx":
                self._check_inputs()
            self._check_size()
        return cleaned

    def _fields_that_do_not_count(self) -> set[str]:
        """Name the fields that say nothing about this file, whatever is in them."""
        if self.is_pasted:
            return set(self.fields) - {"checkpoint", "manifest", "hold"}
        if self.is_automatic:
            return set(self.fields) - {"checkpoint", "format", "hold"}
        ignored = {"manifest"}
        kind = self.data.get("format")
        if kind != "onnx":
            ignored |= {"content_input", "style_input"}
        if kind not in WEIGHTS:
            ignored |= {"architecture"}
        is_fixed = self.data.get("size_rule") == "fixed"
        ignored |= {"multiple_of"} if is_fixed else {"fixed_height", "fixed_width"}
        chosen = self.data.get("architecture") if kind in WEIGHTS else None
        for each in ARCHITECTURES.values():
            if each.name != chosen:
                ignored |= {parameter_field(each.name, name) for name in each.parameters}
        return ignored

    def _check_inputs(self) -> None:
        content = self.cleaned_data.get("content_input")
        if content and content == self.cleaned_data.get("style_input"):
            self.add_error("style_input", _("Two inputs may not have the same name."))

    def _check_size(self) -> None:
        sides = [self.cleaned_data.get(name) for name in ("fixed_height", "fixed_width")]
        is_fixed = self.cleaned_data.get("size_rule") == "fixed"
        if is_fixed and None not in sides and sides != [self.side, self.side]:
            problem = _(
                "The pictures of this phase have %(side)s by %(side)s pixels: a generator "
                "for %(height)s by %(width)s only can't be used. Export it for that size or "
                "with free height and width."
            )
            facts = {"side": self.side, "height": sides[0], "width": sides[1]}
            self.add_error("fixed_height", problem % facts)

    def _architecture(self) -> Architecture | None:
        if self.cleaned_data.get("format") == "onnx":
            return None
        return ARCHITECTURES.get(self.cleaned_data.get("architecture") or "")

    def to_manifest(self) -> "dict[str, Any] | str | None":
        """Return the manifest that a valid form describes; pasted JSON as it is.

        None where the check is to propose one.
        """
        data = self.cleaned_data
        if self.is_pasted:
            return str(data["manifest"])
        if self.is_automatic:
            return None
        architecture = self._architecture()
        inputs = [{"role": role, "name": role} for role in ("content", "style")]
        if architecture is not None:
            inputs = inputs[: architecture.inputs]
        else:
            inputs = [{"role": "content", "name": data["content_input"]}]
            if data["style_input"]:
                inputs.append({"role": "style", "name": data["style_input"]})
        is_fixed = data["size_rule"] == "fixed"
        return {
            "format": data["format"],
            "architecture": architecture.name if architecture else None,
            "parameters": self._parameters(architecture) if architecture else {},
            "inputs": inputs,
            "input_range": data["input_range"],
            "output_range": data["output_range"],
            "channel_order": data["channel_order"],
            "size": (
                {"fixed": [data["fixed_height"], data["fixed_width"]]}
                if is_fixed
                else {"multiple_of": data["multiple_of"]}
            ),
        }

    def _parameters(self, architecture: Architecture) -> dict[str, int]:
        return {
            name: int(self.cleaned_data[parameter_field(architecture.name, name)])
            for name in architecture.parameters
        }

    def refuse(self, error: DomainError) -> None:
        """Put what the platform said beside the field it is about."""
        if not hasattr(self, "cleaned_data"):
            self.full_clean()
        problems = error.facts.get("errors") if error.code == "bad_manifest" else None
        if problems:
            self._refuse_manifest(problems)
            return
        message = str(error.detail)
        if url := error.facts.get("url"):
            message = format_html('{} <a href="{}">{}</a>', message, url, _("Open it"))
        if cause := error.facts.get("cause"):
            message = format_html("{} {}", message, cause)
        if example := error.facts.get("example"):
            message = format_html('{}<code class="field-example">{}</code>', message, example)
        self.add_error(self._place_of(error), message)

    def _refuse_manifest(self, problems: list[Mapping[str, str]]) -> None:
        for each in problems:
            where, detail = each["field"], each["detail"]
            if self.is_pasted:
                told = _("%(field)s: %(detail)s") % each if where else detail
                self.add_error("manifest", told)
                continue
            name = next((name for part, name in _FIELD_OF.items() if where.startswith(part)), None)
            if name or not self.errors:  # no field of its own: it follows from the one before
                self.add_error(name, detail)

    def _place_of(self, error: DomainError) -> str | None:
        if error.code in {"format_mismatch", "unknown_architecture"}:
            is_format = error.code == "format_mismatch"
            return "manifest" if self.is_pasted else "format" if is_format else "architecture"
        return "checkpoint" if isinstance(error, _FILE_ERRORS) else None


def _make_parameter_field(name: str, parameter: Parameter) -> forms.Field:
    label, help_text = describe_parameter(name)
    if parameter.choices is not None:
        return forms.ChoiceField(
            label=label,
            help_text=help_text,
            choices=[(str(choice), str(choice)) for choice in parameter.choices],
            initial=str(parameter.default),
        )
    return forms.IntegerField(
        label=label,
        help_text=help_text,
        min_value=parameter.low,
        max_value=parameter.high,
        initial=parameter.default,
    )
