"""Time zones as people look for them: by region and city, in their language."""

import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from functools import cache, lru_cache

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import to_locale

from arena.accounts.preferences import known_zones
from competitions.templatetags.scores import zone

REGIONS = {
    "Africa": _("Africa"),
    "America": _("America"),
    "Antarctica": _("Antarctica"),
    "Arctic": _("Arctic"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific"),
}
Choices = tuple[tuple[str, str], ...]


def zone_choices(language: str) -> list[tuple[str, Choices]]:
    """Return (region, ((zone, "City (UTC+1)"), ...)) with the offsets of today."""
    found = _choices(language, now().replace(hour=12, minute=0, second=0, microsecond=0))
    return [(str(REGIONS[region]), zones) for region, zones in found.items()]


@lru_cache(maxsize=4)
def _choices(language: str, at: datetime) -> dict[str, Choices]:
    locale = Locale.parse(to_locale(language))
    grouped: dict[str, list[tuple[str, str]]] = {region: [] for region in REGIONS}
    for name in _listed():
        grouped[name.partition("/")[0]].append((name, _label(name, locale, at)))
    return {
        region: tuple(sorted(zones, key=lambda zone: zone[1]))
        for region, zones in grouped.items()
        if zones
    }


def _listed() -> Iterator[str]:
    """Yield the zones of places; not the old names that lead to the same ones."""
    places = get_global("zone_territories")
    return (name for name in known_zones() if name in places and name.partition("/")[0] in REGIONS)


def _label(name: str, locale: Locale, at: datetime) -> str:
    place = zoneinfo.ZoneInfo(name)
    city = _city(name, locale) or get_timezone_location(place, locale=locale, return_city=True)
    return f"{city} ({zone(at.astimezone(place))})"


def _city(name: str, locale: Locale) -> str | None:
    """Return a city's name in a language, which may have it under the zone's former name only."""
    for known in (name, *_former_names().get(name, ())):
        if city := locale.time_zones.get(known, {}).get("city"):
            return str(city)
    return None


@cache
def _former_names() -> dict[str, list[str]]:
    former: dict[str, list[str]] = {}
    for old, new in get_global("zone_aliases").items():
        former.setdefault(new, []).append(old)
    return former
