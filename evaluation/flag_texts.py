"""What organizers read about the oddities that scoring noticed in outputs."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from evaluation.models import EvaluationRun

SHOWN_PAIRS = 12

# Declared baselines copy on purpose; whatever else is odd about them is told as of anybody's.
COPIES = frozenset({"copies_content", "copies_style"})

Flag = Mapping[str, Any]


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


_TEXTS: dict[str, Callable[[Flag], str]] = {
    "copies_content": _near_content,
    "copies_style": _near_style,
    "near_references": _near_references,
    "depends_on_order": _depends_on_order,
    "fails_second_pass": _fails_second_pass,
}


def flag_lines(run: EvaluationRun | None) -> list[str]:
    """Return a sentence for each flag of a run's card."""
    if run is None or run.card is None:
        return []
    exempt = COPIES if run.submission.team.is_baseline else frozenset()
    return [
        _TEXTS[flag["code"]](flag) + _which(flag["pairs"])
        for flag in run.card.get("flags", [])
        if flag["code"] in _TEXTS and flag["code"] not in exempt
    ]


def _which(pairs: list[int]) -> str:
    if not pairs:
        return ""
    shown = ", ".join(str(pair + 1) for pair in pairs[:SHOWN_PAIRS])
    if len(pairs) > SHOWN_PAIRS:
        shown += " …"
    return " " + _("Pairs: %(numbers)s") % {"numbers": shown}
