"""The language and time zone a person chose, in force for each of their requests."""

import zoneinfo
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation

from arena.accounts.templatetags.languages import find_languages


class PreferencesMiddleware:
    """Show pages in the user's language and time zone; without a choice, as the site does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        zone = language = ""
        if request.user.is_authenticated:
            zone, language = request.user.time_zone, request.user.language
        if language in offered_codes():
            use_language(request, language)
        timezone.activate(
            zoneinfo.ZoneInfo(zone)
        ) if zone in known_zones() else timezone.deactivate()
        return self._get_response(request)


def use_language(request: HttpRequest, language: str) -> None:
    translation.activate(language)
    request.LANGUAGE_CODE = translation.get_language()


def keep_language(response: HttpResponseBase, language: str) -> None:
    """Let the browser remember a language, for pages before the log-in; "" forgets it."""
    if not language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )


def offered_codes() -> frozenset[str]:
    """Return the languages that pages can be shown in: those whose translation is compiled."""
    return frozenset({settings.LANGUAGE_CODE, *(code for code, _name in find_languages())})


@cache
def known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
