"""How long it is until something opens or closes, in round words."""

from collections.abc import Callable
from datetime import datetime

from django import template
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from competitions.showcase import Schedule, State

register = template.Library()

MINUTE, HOUR, DAY = 60, 3600, 86_400


@register.simple_tag
def deadline(schedule: Schedule) -> str:
    """Say what comes next: closes in 12 days. Empty for what is over or has no date."""
    if schedule.state == State.UPCOMING and schedule.opens_at:
        return _opens_in(schedule.opens_at)
    if schedule.state == State.OPEN and schedule.closes_at:
        return _closes_in(schedule.closes_at)
    return ""


def _opens_in(moment: datetime) -> str:
    return _worded(
        moment,
        days=lambda n: ngettext("opens in %(count)s day", "opens in %(count)s days", n),
        hours=lambda n: ngettext("opens in %(count)s hour", "opens in %(count)s hours", n),
        minutes=lambda n: ngettext("opens in %(count)s minute", "opens in %(count)s minutes", n),
        soon=_("opens any moment now"),
    )


def _closes_in(moment: datetime) -> str:
    return _worded(
        moment,
        days=lambda n: ngettext("closes in %(count)s day", "closes in %(count)s days", n),
        hours=lambda n: ngettext("closes in %(count)s hour", "closes in %(count)s hours", n),
        minutes=lambda n: ngettext("closes in %(count)s minute", "closes in %(count)s minutes", n),
        soon=_("closes any moment now"),
    )


def _worded(
    moment: datetime,
    *,
    days: Callable[[int], str],
    hours: Callable[[int], str],
    minutes: Callable[[int], str],
    soon: str,
) -> str:
    """Round down: who is told more time than there is comes too late."""
    seconds = int((moment - now()).total_seconds())
    for size, least, sentence in ((DAY, 2, days), (HOUR, 2, hours), (MINUTE, 1, minutes)):
        count = seconds // size
        if count >= least:
            return sentence(count) % {"count": count}
    return soon
