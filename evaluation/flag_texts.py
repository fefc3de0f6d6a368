"""What organizers read about the oddities that scoring noticed in outputs."""

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from evaluation.models import EvaluationRun

SHOWN_PAIRS = 12


def _near_content(pairs: int) -> str:
    return ngettext(
        "%(pairs)d output is nearly its content image.",
        "%(pairs)d outputs are nearly their content images.",
        pairs,
    ) % {"pairs": pairs}


def _near_style(pairs: int) -> str:
    return ngettext(
        "%(pairs)d output is nearly its style image.",
        "%(pairs)d outputs are nearly their style images.",
        pairs,
    ) % {"pairs": pairs}


def _near_references(_pairs: int) -> str:
    return _("The outputs are unusually near the reference images, as if these had been learned.")


_TEXTS: dict[str, Callable[[int], str]] = {
    "copies_content": _near_content,
    "copies_style": _near_style,
    "near_references": _near_references,
}


def flag_lines(run: EvaluationRun | None) -> list[str]:
    """Return a sentence for each flag of a run's card; declared baselines copy on purpose."""
    if run is None or run.card is None or run.submission.team.is_baseline:
        return []
    return [
        _TEXTS[flag["code"]](len(flag["pairs"])) + _which(flag["pairs"])
        for flag in run.card.get("flags", [])
        if flag["code"] in _TEXTS
    ]


def _which(pairs: list[int]) -> str:
    if not pairs:
        return ""
    shown = ", ".join(str(pair + 1) for pair in pairs[:SHOWN_PAIRS])
    if len(pairs) > SHOWN_PAIRS:
        shown += " …"
    return " " + _("Pairs: %(numbers)s") % {"numbers": shown}
