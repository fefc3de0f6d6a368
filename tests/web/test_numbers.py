"""How numbers, moments and languages are written."""

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.contrib.humanize.templatetags.humanize import intcomma
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.timezone import now
from pytest_django import Settings

from arena.accounts.templatetags import languages
from competitions.templatetags.scores import bound, day, duration, markdown, moment, score, until

EMPTY_CATALOGUE = struct.pack("<7I", 0x950412DE, 0, 0, 28, 28, 0, 28)
TIMES, MINUS, DASH = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}", "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (1.0, "1.000"),
        (0.08213456, "0.08213"),
        (12.3456, "12.35"),
        (210.349, "210.3"),
        (77_349.5, "77350"),
        (999_999.9, f"1.000{TIMES}10⁶"),
        (34.56e6, f"3.456{TIMES}10⁷"),
        (1.2044e-8, f"1.204{TIMES}10⁻⁸"),
        (-0.5, f"{MINUS}0.5000"),
        (float("nan"), "not a number"),
        (float("-inf"), f"{MINUS}∞"),
        (None, DASH),
        ("7", DASH),
        (True, DASH),
    ],
)
def test_scores_have_four_significant_digits(value: object, shown: str) -> None:
    assert score(value) == shown


def test_kid_is_shown_a_thousand_times_larger() -> None:
    assert score(0.0012345, "kid") == score(1.2345)


def test_the_ends_of_an_interval_have_three_digits() -> None:
    assert (bound(75_030.0), bound(0.51116), bound(4.608e-9)) == (
        "75000",
        "0.511",
        f"4.61{TIMES}10⁻⁹",
    )


def test_the_decimal_separator_is_the_readers() -> None:
    with translation.override("de"):
        assert score(1.5) == "1,500"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.44, "0.4 s"), (12, "12 s"), (185, "3 min 5 s"), (300, "5 min"), (7440, "2 h 4 min")],
)
def test_lengths_of_time_are_written_by_their_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_waiting_times_are_round_and_never_past() -> None:
    assert until(now() - timedelta(hours=1)) == "any moment now"
    assert until(now() + timedelta(seconds=50)) == "in about 1 minute"
    assert until(now() + timedelta(minutes=9, seconds=10)) == "in about 9 minutes"
    assert until(now() + timedelta(hours=3)) == "in about 3 hours"
    assert until(now() + timedelta(hours=47)) == "in about 47 hours"
    assert until(now() + timedelta(days=20)) == "in about 20 days"


def test_dates_and_zones_can_be_taken_one_way_only() -> None:
    deadline = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)
    for language, shown in (("en", "3 Nov 2026, 00:00"), ("zh-hans", "2026年11月3日 00:00")):
        with translation.override(language):
            assert f"{shown} UTC<" in moment(deadline)
            assert f">{shown.split(',')[0].removesuffix(' 00:00')}<" in day(deadline)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Asia/Shanghai", "3 Nov 2026, 08:00 UTC+8"),
        ("America/Chicago", f"2 Nov 2026, 18:00 UTC{MINUS}6"),
        ("Asia/Kathmandu", "3 Nov 2026, 05:45 UTC+5:45"),
    ],
)
def test_a_moment_is_shown_in_the_readers_zone(name: str, shown: str) -> None:
    with timezone.override(ZoneInfo(name)):
        assert f">{shown}<" in moment(datetime(2026, 11, 3, tzinfo=UTC))


def test_large_numbers_are_grouped_by_three_in_every_language() -> None:
    for language in ("en", "zh-hans"):
        with translation.override(language):
            assert intcomma(20_000_000) == "20,000,000"


def test_headings_of_a_description_come_below_those_of_its_page() -> None:
    assert markdown("# a\n\n## b\n\n### c") == "<h3>a</h3>\n<h3>b</h3>\n<h4>c</h4>\n"


@pytest.mark.django_db
def test_languages_are_offered_once_they_are_translated(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.LOCALE_PATHS = [tmp_path]
    languages.find_languages.cache_clear()
    assert "language-switch" not in client.get(reverse("home")).content.decode()
    catalogue = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.mo"
    catalogue.parent.mkdir(parents=True)
    catalogue.write_bytes(EMPTY_CATALOGUE)
    languages.find_languages.cache_clear()
    try:
        assert 'value="zh-hans"' in client.get(reverse("home")).content.decode()
        client.post(reverse("set_language"), {"language": "zh-hans", "next": reverse("home")})
        assert '<html lang="zh-hans">' in client.get(reverse("home")).content.decode()
    finally:
        languages.find_languages.cache_clear()
