from collections.abc import Sequence
from functools import cache
from pathlib import Path

from django import template
from django.conf import settings
from django.utils.translation import to_locale

register = template.Library()


@register.simple_tag
def offered_languages() -> Sequence[tuple[str, str]]:
    """Return (code, name) of each language whose translation is compiled; one is no choice."""
    return find_languages()


@cache
def find_languages() -> Sequence[tuple[str, str]]:
    offered = [
        (code, str(name))
        for code, name in settings.LANGUAGES
        if code == settings.LANGUAGE_CODE
        or any(
            (Path(folder) / to_locale(code) / "LC_MESSAGES" / "django.mo").is_file()
            for folder in settings.LOCALE_PATHS
        )
    ]
    return offered if len(offered) > 1 else []
