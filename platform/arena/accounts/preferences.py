"""The language and time zone a person chose, in force for each of their requests."""

import zoneinfo
from collections.abc import Callable
from functools import cache

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation


class PreferencesMiddleware:
    """Show pages in the user's language and time zone; without a choice, as the site does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        zone = language = ""
        if request.user.is_authenticated:
            zone, language = request.user.time_zone, request.user.language
        if language:
            translation.activate(language)
            request.LANGUAGE_CODE = translation.get_language()
        timezone.activate(
            zoneinfo.ZoneInfo(zone)
        ) if zone in known_zones() else timezone.deactivate()
        return self._get_response(request)


@cache
def known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
