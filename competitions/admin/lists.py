"""Short lists in the admin's pages."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from competitions.templatetags.scores import NOTHING


def plain_list(lines: SafeString) -> SafeString:
    """Wrap list items; without any there is no list, which readers would announce as empty."""
    return format_html('<ul class="plain">{}</ul>', lines) if lines else SafeString(NOTHING)
