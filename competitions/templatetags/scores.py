"""How numbers, moments and descriptions are written on pages; every page uses these."""

import math
from datetime import datetime, timedelta
from typing import Any

import nh3
from django import template
from django.utils import timezone
from django.utils.formats import date_format, get_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from markdown_it import MarkdownIt

register = template.Library()

NOTHING, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
# Stored raw and shown as the literature does, or in units for people.
SHOWN_TIMES = {"kid": 1000, "peak_memory": 2**-20}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ALLOWED_TAGS = {
    *("p", "br", "hr", "a", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "del"),
}
_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


@register.filter
def score(value: object, metric: str = "") -> str:
    """Write a score with four significant digits: 0.08213, 12.35, or a power of ten."""
    return _written(value, metric, digits=4)


@register.filter
def bound(value: object, metric: str = "") -> str:
    """Write an end of an interval, which three digits say well enough."""
    return _written(value, metric, digits=3)


def _written(value: object, metric: str, *, digits: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING
    number = float(value) * SHOWN_TIMES.get(metric, 1)
    if not math.isfinite(number):
        return _("not a number") if math.isnan(number) else "∞" if number > 0 else f"{MINUS}∞"
    if number == 0:
        return "0"
    shown = _significant(number, digits)
    return shown.replace(".", str(get_format("DECIMAL_SEPARATOR")))


def _significant(number: float, digits: int) -> str:
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power < 6:
        shown = f"{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - power)}f}"
    else:
        shown = f"{mantissa}{TIMES}10{str(power).translate(_SUPERSCRIPTS)}"
    return shown.replace("-", MINUS)


@register.filter
def duration(seconds: object) -> str:
    """Write a length of time by its largest units: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if not isinstance(seconds, int | float):
        return NOTHING
    if seconds < 10:
        return _("%(seconds)s s") % {"seconds": f"{seconds:.1f}"}
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        rest = 0
    parts = (
        (hours, _("%(hours)s h") % {"hours": hours}),
        (minutes, _("%(minutes)s min") % {"minutes": minutes}),
        (rest, _("%(seconds)s s") % {"seconds": rest}),
    )
    return " ".join(text for amount, text in parts if amount)


@register.filter
def until(moment: datetime) -> str:
    """Say how long it is until ``moment`` in round words; a moment that has passed is now."""
    seconds = (moment - timezone.now()).total_seconds()
    if seconds < 20:
        return _("any moment now")
    if seconds < 3600:
        minutes = max(1, round(seconds / 60))
        return ngettext("in about %(count)s minute", "in about %(count)s minutes", minutes) % {
            "count": minutes
        }
    hours = round(seconds / 3600)
    if hours >= 48:
        days = round(hours / 24)
        return ngettext("in about %(count)s day", "in about %(count)s days", days) % {"count": days}
    return ngettext("in about %(count)s hour", "in about %(count)s hours", hours) % {"count": hours}


@register.filter(expects_localtime=True)
def zone(value: datetime) -> str:
    """Name a moment's zone by its distance from UTC; CST is Shanghai's and Chicago's."""
    offset = value.utcoffset() or timedelta()
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    if not (hours or minutes):
        return "UTC"
    sign = MINUS if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")


@register.simple_tag
def moment(value: datetime | None) -> str:
    """Write a moment with its time zone, readable to machines too."""
    if value is None:
        return NOTHING
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}">{} {}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, "DATETIME_FORMAT"),
        zone(local),
    )


@register.simple_tag
def day(value: datetime | None, *, short: bool = False) -> str:
    """Write a date; the full moment is its machine-readable value and its title."""
    if value is None:
        return NOTHING
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, "DATETIME_FORMAT"),
        zone(local),
        date_format(local, "SHORT_DATE_FORMAT" if short else "DATE_FORMAT"),
    )


@register.filter
def markdown(text: str) -> SafeString:
    """Turn an organizer's Markdown into clean HTML, its headings below the page's own."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, max(3, int(token.tag[1]) + 1))}"
    rendered = _markdown.renderer.render(tokens, _markdown.options, {})
    cleaned = nh3.clean(
        rendered,
        tags=_ALLOWED_TAGS,
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308 - cleaned right above


@register.filter
def get(mapping: Any, key: str) -> Any:
    """Look a key up that is only known while a page is rendered."""
    return mapping.get(key) if mapping else None
