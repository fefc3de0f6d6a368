"""The steps of a run in words."""

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

register = template.Library()

_NAMES: dict[str, "str | Promise"] = {
    "references": _("Reading the reference images"),
    "converting": _("Reading the weights in a sandbox of their own"),
    "generating": _("Making the pictures in the sandbox"),
    "preparing": _("Measuring the reference images"),
    "scoring": _("Scoring the pictures"),
    "sensitivity": _("Scoring slightly changed pictures"),
    "order": _("Checking that the order of the pairs does not matter"),
    "recording": _("Storing scores and pictures"),
    "load": _("of which opening the checkpoint"),
    "run": _("of which running the generator"),
}


@register.filter
def step_name(step: str) -> "str | Promise":
    return _NAMES.get(step, step)
