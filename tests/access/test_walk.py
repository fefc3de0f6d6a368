"""Every route of the site, filled with every row there is, asked by people who may not know it."""

import re
from collections.abc import Iterator
from itertools import product

import pytest
from django.apps import apps
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import get_converters

from evaluation.gateway.urls import ReportConverter
from tests.access.people import OUTSIDERS, SECRETS, Scene, make_scene

pytestmark = pytest.mark.django_db

OURS = ("accounts", "competitions", "submissions", "evaluation")
# What ends a session or asks for it; nothing secret is behind them.
LEFT_OUT = re.compile(r"^(accounts/logout|admin/logout|admin/jsi18n)")
NAMED = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")


def routes() -> Iterator[str]:
    """Give every path of the site, parameters in angle brackets."""
    yield from _walk("", get_resolver().url_patterns)


def _walk(prefix: str, patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(route, pattern.url_patterns)
        else:
            yield route


def candidates() -> dict[str, list[str]]:
    """Give the values that parameters are filled with, by the kind of parameter."""
    keys: dict[str, set[str]] = {"int": {"0", "1"}, "uuid": set(), "slug": set(), "str": set()}
    for label in OURS:
        for model in apps.get_app_config(label).get_models():
            for pk in model._default_manager.values_list("pk", flat=True)[:12]:
                keys["uuid" if "-" in str(pk) else "int"].add(str(pk))
            if any(field.name == "slug" for field in model._meta.fields):
                keys["slug"] |= set(model._default_manager.values_list("slug", flat=True))
    keys["str"] = keys["path"] = keys["int"] | keys["uuid"]
    keys["report"] = set(ReportConverter.regex.split("|"))
    return {kind: sorted(values) for kind, values in keys.items()}


def addresses() -> list[str]:
    """Fill every route with every value that fits its parameters."""
    values = candidates()
    filled: set[str] = set()
    for route in routes():
        if LEFT_OUT.match(route) or "(?P" in route or route.startswith("^"):
            continue
        parameters = list(NAMED.finditer(route))
        kinds = [each["converter"] or "str" for each in parameters]
        assert set(kinds) <= set(get_converters()), route
        for chosen in product(*(values[kind] for kind in kinds)):
            address = route
            for parameter, value in zip(parameters, chosen, strict=True):
                address = address.replace(parameter[0], value, 1)
            filled.add("/" + address)
    return sorted(filled)


def body_of(response: HttpResponseBase) -> bytes:
    if response.streaming:
        return b"".join(response.streaming_content)  # type: ignore[attr-defined]
    return bytes(response.content)  # type: ignore[attr-defined]


def found_by(client: Client) -> dict[str, list[str]]:
    """Return what secrets come out at which addresses."""
    found: dict[str, list[str]] = {}
    for address in addresses():
        body = body_of(client.get(address))
        for name, secret in SECRETS.items():
            if secret in body:
                found.setdefault(name, []).append(address)
    return found


@pytest.fixture(name="scene")
def _scene() -> Scene:
    return make_scene()


@pytest.mark.parametrize("role", OUTSIDERS)
def test_no_address_gives_a_secret_to(role: str, scene: Scene) -> None:
    assert found_by(scene.client(role)) == {}


def test_the_walk_would_find_the_secrets(scene: Scene) -> None:
    # Organizers may see them all: if the walk did not meet them, it would prove nothing.
    assert set(found_by(scene.client("organizer"))) == set(SECRETS)


def test_a_teammate_meets_the_team_s_log_and_no_hidden_picture(scene: Scene) -> None:
    assert set(found_by(scene.client("teammate"))) == {"log"}
