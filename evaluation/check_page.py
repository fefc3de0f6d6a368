"""What the page of a submission shows of its check, to its team and the organizers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from evaluation.hint_texts import Question, questions_of
from evaluation.models import FirstPicture
from styletransfer.architectures import ARCHITECTURES
from styletransfer.proposal import Reason
from submissions.fitting import fitting_manifest
from submissions.forms import CHANNEL_ORDERS, RANGES
from submissions.models import Submission
from submissions.parameter_names import describe_parameter
from submissions.states import Status

_SHOWN_IN = (Status.QUEUED, Status.RUNNING, Status.REJECTED)
_NAMES: dict[str, "str | Promise"] = {
    "architecture": gettext_lazy("Architecture"),
    "inputs": gettext_lazy("Inputs"),
    "input_range": gettext_lazy("It takes values of"),
    "output_range": gettext_lazy("It returns values of"),
    "channel_order": gettext_lazy("Order of the colours"),
    "size": gettext_lazy("Sizes it takes"),
    "parameters": gettext_lazy("Parameters"),
    "needed_bytes": gettext_lazy("Memory it needs at least"),
    "peak_bytes": gettext_lazy("Memory it took here"),
}


@dataclass(frozen=True)
class Described:
    """A field of the manifest as people read it."""

    name: "str | Promise"
    value: str
    is_guess: bool


@dataclass(frozen=True)
class Fitting:
    """A manifest by which the file fits: in few words, and as it is sent."""

    name: str
    manifest: str


@dataclass(frozen=True)
class CheckPage:
    """``first`` is None where there is no picture, as after a rejection."""

    first: FirstPicture | None
    questions: Sequence[Question]
    fields: Sequence[Described]
    measured: Sequence[Described]
    manifest: str
    fitting: "Fitting | None"

    ranges = RANGES
    channel_orders = CHANNEL_ORDERS


def check_of(submission: Submission) -> CheckPage | None:
    """Return what is known of the last check; None while it goes on or matters no more."""
    if submission.status not in _SHOWN_IN:
        return None
    first = FirstPicture.objects.filter(run__submission=submission).select_related("run").first()
    if first is None and not submission.is_changeable:
        return None
    return CheckPage(
        first=first,
        questions=questions_of(first.hints) if first else [],
        fields=_fields(submission) if submission.is_described else [],
        measured=_measured(first.measured) if first else [],
        manifest=json.dumps(submission.manifest, indent=2),
        fitting=_fitting(submission),
    )


def _measured(measured: Mapping[str, int]) -> list[Described]:
    known = {
        "parameters": lambda value: number_format(value, force_grouping=True),
        "needed_bytes": filesizeformat,
        "peak_bytes": filesizeformat,
    }
    return [
        Described(_NAMES[name], str(write(measured[name])), is_guess=False)
        for name, write in known.items()
        if measured.get(name)
    ]


def _fitting(submission: Submission) -> Fitting | None:
    found = fitting_manifest(submission)
    if found is None:
        return None
    described = found.model_dump(mode="json")
    return Fitting(_architecture(described), json.dumps(described))


def _fields(submission: Submission) -> list[Described]:
    manifest, proposal = submission.manifest, submission.proposal or {}
    proposed, reasons = proposal.get("manifest", {}), proposal.get("reasons", {})
    ranges, orders = dict(RANGES), dict(CHANNEL_ORDERS)
    values = {
        "architecture": _architecture(manifest),
        "inputs": ", ".join(each["name"] for each in manifest["inputs"]),
        "input_range": str(ranges[manifest["input_range"]]),
        "output_range": str(ranges[manifest["output_range"]]),
        "channel_order": str(orders[manifest["channel_order"]]),
        "size": _size(manifest["size"]),
    }
    return [
        Described(
            _NAMES[name],
            value,
            is_guess=name in reasons
            and manifest[name] == proposed.get(name)
            and not Reason(reasons[name]["code"]).is_certain,
        )
        for name, value in values.items()
    ]


def _architecture(manifest: dict[str, object]) -> str:
    name = manifest["architecture"]
    if name is None:
        return "ONNX"
    parameters = manifest["parameters"]
    assert isinstance(parameters, dict)  # noqa: S101 - a checked manifest
    title = ARCHITECTURES[str(name)].title if name in ARCHITECTURES else str(name)
    told = (f"{describe_parameter(key)[0].lower()} {value}" for key, value in parameters.items())
    return ", ".join([title, *told])


def _size(size: dict[str, object]) -> str:
    if "fixed" in size:
        return " \N{MULTIPLICATION SIGN} ".join(map(str, size["fixed"]))  # type: ignore[call-overload]
    return _("multiples of {number}").format(number=size["multiple_of"])
