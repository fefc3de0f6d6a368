"""What organizers read about the oddities that scoring noticed in outputs."""

from collections.abc import Callable, Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from competitions.metric_texts import describe_metric
from evaluation.field import Flag, field_of, flags_of, read_noticed
from evaluation.models import EvaluationRun

SHOWN_PAIRS = 12

CHANGES: Mapping[str, "str | Promise"] = {
    "shift": gettext_lazy("moved by a pixel"),
    "jpeg": gettext_lazy("saved as JPEG"),
    "blur": gettext_lazy("blurred slightly"),
}


def _near_content(flag: Flag) -> str:
    pairs = len(flag["pairs"])
    return ngettext(
        "%(pairs)d output is nearly its content image.",
        "%(pairs)d outputs are nearly their content images.",
        pairs,
    ) % {"pairs": pairs}


def _near_style(flag: Flag) -> str:
    pairs = len(flag["pairs"])
    return ngettext(
        "%(pairs)d output is nearly its style image.",
        "%(pairs)d outputs are nearly their style images.",
        pairs,
    ) % {"pairs": pairs}


def _near_references(_flag: Flag) -> str:
    return _("The outputs are unusually near the reference images, as if these had been learned.")


def _depends_on_order(flag: Flag) -> str:
    levels = round(flag["value"])
    return ngettext(
        "In another order some pairs were painted differently, by up to %(levels)d grey level.",
        "In another order some pairs were painted differently, by up to %(levels)d grey levels.",
        levels,
    ) % {"levels": levels}


def _fails_second_pass(_flag: Flag) -> str:
    return _("When some pairs were to be painted a second time, in another order, it failed.")


def _sensitive(flag: Flag) -> str:
    said = {
        "metric": describe_metric(flag["metric"]).title,
        "change": CHANGES[flag["disturbance"]],
        "times": f"{flag['value']:.2f}",
    }
    if flag.get("usual") is None:
        return _("%(metric)s gets %(times)s times as bad when the outputs are %(change)s.") % said
    return _(
        "%(metric)s gets %(times)s times as bad when the outputs are %(change)s, "
        "for other teams in the middle %(usual)s times."
    ) % (said | {"usual": f"{flag['usual']:.2f}"})


_TEXTS: dict[str, Callable[[Flag], str]] = {
    "copies_content": _near_content,
    "copies_style": _near_style,
    "near_references": _near_references,
    "depends_on_order": _depends_on_order,
    "fails_second_pass": _fails_second_pass,
    "sensitive": _sensitive,
}


def flag_lines(run: EvaluationRun | None) -> list[str]:
    """Return a sentence for each flag of a run, seen beside the field of its phase."""
    rows = read_noticed(EvaluationRun.objects.filter(pk=run.pk)) if run else []
    return [
        _TEXTS[flag["code"]](flag) + _which(flag["pairs"])
        for row in rows
        for flag in flags_of(row, field_of(row.phase_id))
        if flag["code"] in _TEXTS
    ]


def _which(pairs: list[int]) -> str:
    if not pairs:
        return ""
    shown = ", ".join(str(pair + 1) for pair in pairs[:SHOWN_PAIRS])
    if len(pairs) > SHOWN_PAIRS:
        shown += " …"
    return " " + _("Pairs: %(numbers)s") % {"numbers": shown}
