"""Moments in few words, for places that are narrow."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

from competitions.templatetags.scores import zone

register = template.Library()


@register.simple_tag
def clock(value: datetime) -> str:
    """Write the time of day, with the date before it unless that is today."""
    local = timezone.localtime(value)
    shown = date_format(local, "TIME_FORMAT")
    if local.date() != timezone.localtime().date():
        shown = f"{date_format(local, 'SHORT_DATE_FORMAT')} {shown}"
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        date_format(local, "DATETIME_FORMAT"),
        zone(local),
        shown,
    )
